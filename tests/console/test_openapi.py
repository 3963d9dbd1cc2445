"""The OpenAPI document is true: schemathesis asks a running console what the document promises, and what it does not."""

import json
from typing import Any
from urllib.request import urlopen

import jsonschema_rs
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, settings

from penstock.console.api.endpoints import ENDPOINTS
from penstock.console.api.openapi import document
from tests.console.conftest import TOKEN, Console

DOCUMENT = document(ENDPOINTS)
SCHEMA = schemathesis.openapi.from_dict(DOCUMENT)
EXAMPLES = 12


@pytest.mark.kafka
@SCHEMA.parametrize()
@settings(
    max_examples=EXAMPLES,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
    derandomize=True,
)
def test_it_keeps_what_the_document_promises(case: Any, console: Console) -> None:
    case.call_and_validate(base_url=console.url, headers={"Authorization": f"Bearer {TOKEN}"})


@pytest.mark.kafka
def test_the_console_serves_it(console: Console) -> None:
    with urlopen(f"{console.url}/openapi.json") as answer:
        assert json.load(answer) == DOCUMENT


def test_every_reference_leads_somewhere_and_every_schema_is_one() -> None:
    schemas = DOCUMENT["components"]["schemas"]
    named = {ref.rsplit("/", 1)[1] for ref in _references(DOCUMENT)}
    assert named == set(schemas)
    for name in schemas:
        whole = {"$ref": f"#/components/schemas/{name}", "components": {"schemas": schemas}}
        jsonschema_rs.validator_for(whole)


def _references(value: Any) -> list[str]:
    if isinstance(value, dict):
        own = [value["$ref"]] if isinstance(value.get("$ref"), str) else []
        return own + [ref for item in value.values() for ref in _references(item)]
    return [ref for item in value for ref in _references(item)] if isinstance(value, list) else []
