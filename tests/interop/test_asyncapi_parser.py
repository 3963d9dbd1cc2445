"""The AsyncAPI document by AsyncAPI's official parser, where there is node: it resolves references and parses the schemas, too."""

import json
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from penstock.devkafka.filelock import exclusive
from topology.asyncapi import document
from topology.load import load_workflow
from topology.plan import ClaimCheck

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / ".penstock" / "asyncapi-parser"
PARSER = "@asyncapi/parser@3.6.6"
SCRIPT = """
const { Parser } = require("@asyncapi/parser");
const { readFileSync } = require("fs");
(async () => {
  for (const path of process.argv.slice(2)) {
    const { document, diagnostics } = await new Parser().parse(readFileSync(path, "utf8"));
    const errors = diagnostics.filter(each => each.severity < 2).map(each => each.message + " at " + each.path.join("/"));
    const names = document ? document.channels().all().map(channel => channel.address()) : [];
    console.log(JSON.stringify({ path, valid: document !== undefined, errors, names }));
  }
})();
"""

pytestmark = [
    pytest.mark.skipif(not shutil.which("npm"), reason="the official parser needs node and npm"),
    pytest.mark.timeout(300),  # the first one installs it
]


@pytest.fixture(scope="session")
def parser() -> Path:
    """Return the script that parses documents, beside the parser."""
    with exclusive(FOLDER / ".lock"):
        if not (FOLDER / "node_modules" / "@asyncapi" / "parser").exists():
            command = ["npm", "install", "--silent", "--no-audit", "--no-fund", "--prefix", str(FOLDER), PARSER]
            subprocess.run(command, check=True, timeout=240, cwd=FOLDER)
        (FOLDER / "parse.js").write_text(SCRIPT)
    return FOLDER / "parse.js"


def test_the_official_parser_takes_every_example_with_a_claim_check_too(parser: Path, tmp_path: Path) -> None:
    documents = {}
    for file in sorted(ROOT.glob("workflows/*/workflow.yaml")):
        plan = load_workflow(file).require_plan()
        for kind, check in (("plain", None), ("claims", ClaimCheck("file:///claims", 50_000))):
            path = tmp_path / f"{plan.id}.{kind}.json"
            path.write_text(json.dumps(document(replace(plan, claim_check=check))))
            documents[str(path)] = plan
    done = subprocess.run(["node", str(parser), *documents], capture_output=True, text=True, check=True, timeout=120)
    for said in map(json.loads, done.stdout.splitlines()):
        plan = documents.pop(said["path"])
        assert (said["valid"], said["errors"]) == (True, [])
        assert plan.topic("output") in said["names"]
    assert not documents
