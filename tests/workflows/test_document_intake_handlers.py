"""The handlers, schemas and documents of workflows/document-intake, without a model and without Kafka."""

import importlib.util
import json
import logging
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from types import ModuleType, SimpleNamespace

import jsonschema_rs
import pytest

FOLDER = Path(__file__).parents[2] / "workflows" / "document-intake"
DOCUMENTS = [json.loads(line) for line in (FOLDER / "documents.jsonl").read_text("utf-8").splitlines()]

# What each document is about, in the order of documents.jsonl.
TRUTH = [
    ("invoice", "INV-2026-0417", "2026-03-14", "GBP", "1284.00"),
    ("complaint", "ORD-58213", "2026-03-11", "EUR", "649.00"),
    ("contract", "SA-2026-031", "2026-03-02", "EUR", "18500.00"),
    ("invoice", "R-10882", "2026-03-09", "CHF", "2540.89"),
    ("complaint", "NLR-7730-KX", "2026-03-05", "GBP", "58.40"),
    ("contract", "L-2291-B", "2026-04-01", "USD", "1875.00"),
    ("invoice", "SAS/26/1193", "2026-03-11", "INR", "85680.00"),
    ("complaint", "CL-900142", "2026-02-20", "BRL", "1899.00"),
    ("contract", "NDA-0088/26", "2026-03-20", "PLN", "50000.00"),
    ("invoice", "2026-77", "2026-03-19", "JPY", "165660.00"),
    ("complaint", "POL-448-2093", "2026-01-08", "USD", "3120.75"),
    ("contract", "HR-2026-114", "2026-03-16", "KES", "210000.00"),
    ("invoice", "318/2026", "2026-03-04", "EUR", "1444.00"),
    ("complaint", "HM-2026-5521", "2026-03-16", "EUR", "412.00"),
    ("invoice", "A-20931", "2026-03-18", "AUD", "1895.30"),
    ("contract", "C-7745/3", "2026-03-23", "SEK", "612000.00"),
    ("complaint", "66-20417", "2026-03-01", "CAD", "214.60"),
    ("invoice", "TCW-004512", "2026-03-27", "EUR", "944.00"),
    ("contract", "CA-19-2026", "2026-03-27", "EUR", "1100.00"),
    ("complaint", "0093-7718", "2026-03-28", "NZD", "14.90"),
]


def load(name: str) -> ModuleType:
    """Load a handler the way the engine does: by its file."""
    spec = importlib.util.spec_from_file_location(f"document_intake_{name}", FOLDER / "handlers" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def schema(name: str) -> dict:
    """Return a schema of the workflow."""
    return json.loads((FOLDER / "schemas" / f"{name}.json").read_text("utf-8"))


def accepts(name: str, value: object) -> bool:
    """Return whether the schema accepts the value, formats included."""
    return jsonschema_rs.validator_for(schema(name), validate_formats=True).is_valid(value)


def context(key: str = "doc-001", run_id: str = "r1") -> SimpleNamespace:
    """Return what the engine passes as context."""
    return SimpleNamespace(
        run_id=run_id,
        node="persist",
        attempt=1,
        idempotency_key=key,
        workflow_id="document-intake",
        epoch=1,
        logger=logging.getLogger("test"),
    )


def validated(number: int, **outputs: object) -> dict:
    """Run validate on a document (counted from 1) and the outputs the models are said to have given."""
    nothing = {"classify": None, "extract": None, "summarize": None}
    return load("structure").handle({"input": DOCUMENTS[number - 1], **nothing, **outputs}, context())


@pytest.fixture
def database(tmp_path, monkeypatch):
    """Point persist at a file of its own, in a folder that is not there yet."""
    path = tmp_path / "deep" / "rows.sqlite"
    monkeypatch.setenv("DOCUMENT_INTAKE_DB", str(path))
    return path


def rows(path: Path, columns: str) -> list[tuple]:
    """Return the rows of the table, by key."""
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(f"SELECT {columns} FROM documents ORDER BY key").fetchall()


def test_validate_keeps_what_the_text_confirms():
    extracted = {
        "sender": "Weber & Iten AG",
        "recipient": "Alpenblick Hotel GmbH",
        "reference": "Invoice no. R-10882",
        "date": "9 March 2026",
        "amount": "2'540.89 CHF",
    }
    summary = {"summary": "A repair of the cold room is billed."}
    assert validated(4, classify={"label": "invoice"}, extract=extracted, summarize=summary) == {
        "document_id": "doc-004",
        "kind": "invoice",
        "sender": "Weber & Iten AG",
        "recipient": "Alpenblick Hotel GmbH",
        "reference": "R-10882",
        "date": "2026-03-09",
        "amount": {"currency": "CHF", "value": "2540.89"},
        "summary": "A repair of the cold room is billed.",
        "found_by": dict.fromkeys(("kind", "sender", "recipient", "reference", "date", "amount", "summary"), "model"),
        "doubts": ["date: '09.03.2026' was read day first"],
    }


def test_validate_overrules_what_the_text_denies():
    extracted = {
        "sender": "Your Name",
        "recipient": None,
        "reference": "Reference Number",
        "date": "2022-01-01",
        "amount": "113.00",
    }
    summary = {"summary": "The table was damaged and the cust"}
    assert validated(2, classify={"label": "invoice"}, extract=extracted, summarize=summary) == {
        "document_id": "doc-002",
        "kind": "complaint",
        "sender": None,
        "recipient": None,
        "reference": "ORD-58213",
        "date": "2026-03-11",
        "amount": {"currency": "EUR", "value": "649.00"},
        "summary": "The table was damaged and the …",
        "found_by": {
            "kind": "text",
            "sender": None,
            "recipient": None,
            "reference": "text",
            "date": "text",
            "amount": "text",
            "summary": "model",
        },
        "doubts": [
            "kind: the model said 'invoice', the words say 'complaint'",
            "sender: the model's 'Your Name' is not in the text, nothing instead",
            "recipient: not found",
            "reference: the model's 'Reference Number' is not in the text, taken from the text by rule",
            "date: the model's '2022-01-01' is not in the text, taken from the text by rule",
            "amount: the model's '113.00' is not in the text, taken from the text by rule",
        ],
    }


def test_validate_doubts_a_sum_that_is_not_the_total():
    record = validated(4, extract={"amount": "CHF 942.50"})
    assert record["amount"] == {"currency": "CHF", "value": "942.50"}
    assert "amount: the text calls 2540.89 the total" in record["doubts"]


def test_validate_refuses_a_summary_with_numbers_of_its_own():
    record = validated(13, summarize={"summary": "2024-03-04 12:17:58.968, 12:17:58.968, 2024"})
    assert record["summary"].startswith("Fattura / Invoice n. 318/2026")
    assert (record["found_by"]["summary"], record["doubts"][-1]) == (
        "text",
        "summary: none to rely on, the first words of the text stand in",
    )


def test_validate_refuses_a_reference_as_a_party_and_doubts_one_name_on_both_sides():
    assert validated(15, extract={"sender": "A-20931"})["sender"] is None
    doubts = validated(17, extract={"sender": "Zephyr Mobile", "recipient": "Zephyr Mobile"})["doubts"]
    assert "recipient: the same as the sender" in doubts


def test_validate_doubts_the_currency_of_a_bare_dollar_sign():
    assert "amount: a bare '$' was read as USD" in validated(11)["doubts"]


@pytest.mark.parametrize("number", range(1, 21))
def test_validate_without_any_model_finds_kind_reference_date_and_amount(number):
    record = validated(number)
    money = record["amount"]
    assert (record["kind"], record["reference"], record["date"], money["currency"], money["value"]) == TRUTH[number - 1]
    assert record["summary"]


def test_validate_of_a_text_with_nothing_in_it_is_all_doubts():
    document = {**DOCUMENTS[0], "text": "hello"}
    record = load("structure").handle({"input": document}, context())
    assert (record["kind"], record["amount"], record["summary"]) == ("other", None, "hello …")
    assert [doubt.split(":")[0] for doubt in record["doubts"]] == [
        "kind",
        "sender",
        "recipient",
        "reference",
        "date",
        "amount",
        "summary",
    ]


def test_validate_survives_a_date_that_is_no_day_and_a_blank_summary():
    record = validated(1, extract={"date": "31.02.2026"}, summarize={"summary": " "})
    assert (record["date"], record["found_by"]["date"]) == ("2026-03-14", "text")
    assert record["summary"].startswith("INVOICE INV-2026-0417")


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("1,284.50", "1284.50"),
        ("1.284,50", "1284.50"),
        ("1'284.50", "1284.50"),
        ("612,000", "612000.00"),
        ("1284", "1284.00"),
    ],
)
def test_numbers_of_all_countries_read_alike(written, value):
    assert str(load("structure").parse_number(written)) == value


def test_persist_twice_with_the_same_key_is_one_row_and_one_answer(database):
    write = load("write")
    inputs = {"input": DOCUMENTS[0], "validate": validated(1)}
    first = write.handle(inputs, context())
    second = write.handle(inputs, context())
    assert first == second == {"row": "doc-001", "table": "documents", "kind": "invoice", "doubts": 4}
    assert rows(database, "key, kind, reference, date, currency, value, source, run_id") == [
        ("doc-001", "invoice", "INV-2026-0417", "2026-03-14", "GBP", "1284.00", "email", "r1")
    ]


def test_persist_with_the_same_key_takes_the_later_record(database):
    write = load("write")
    write.handle({"input": DOCUMENTS[0], "validate": validated(1)}, context())
    write.handle({"input": DOCUMENTS[0], "validate": {**validated(1), "amount": None}}, context(run_id="r2"))
    assert rows(database, "key, currency, value, run_id") == [("doc-001", None, None, "r2")]


def test_persist_from_many_threads_at_once(database):
    write = load("write")
    work = [(write, number) for number in range(1, 21) for _ in range(3)]

    def persist(item):
        document = DOCUMENTS[item[1] - 1]
        return item[0].handle({"input": document, "validate": validated(item[1])}, context(document["document_id"]))

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(persist, work))
    assert {answer["row"] for answer in answers} == {document["document_id"] for document in DOCUMENTS}
    assert len(rows(database, "key")) == 20


def test_persist_that_fails_leaves_nothing(database):
    record = {**validated(1), "kind": None}
    with pytest.raises(sqlite3.IntegrityError):
        load("write").handle({"input": DOCUMENTS[0], "validate": record}, context())
    assert rows(database, "key") == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: document["document_id"])
def test_every_document_is_a_valid_input(document):
    assert accepts("input", document)
    assert 60 <= len(document["text"].split()) <= 140


def test_there_are_twenty_documents_with_ids_of_their_own():
    assert len({document["document_id"] for document in DOCUMENTS}) == len(DOCUMENTS) == len(TRUTH) == 20


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("classify", {"label": "contract"}),
        ("extract", {"sender": "A Ltd", "recipient": None, "reference": "R-1", "date": None, "amount": "EUR 1.00"}),
        ("summarize", {"summary": "A bill."}),
    ],
)
def test_a_schema_accepts(name, value):
    assert accepts(name, value)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("input", {"document_id": "doc-001"}),
        ("input", {**DOCUMENTS[0], "text": ""}),
        ("input", {**DOCUMENTS[0], "received_at": "yesterday"}),
        ("input", {**DOCUMENTS[0], "more": 1}),
        ("classify", {"label": "poem"}),
        ("classify", {"label": "invoice", "confidence": 1}),
        ("extract", {"sender": "A Ltd"}),
        ("extract", {"sender": "x" * 41, "recipient": None, "reference": None, "date": None, "amount": None}),
        ("extract", {"sender": None, "recipient": None, "reference": None, "date": None, "amount": 1.5}),
        ("summarize", {"summary": ""}),
        ("summarize", {"summary": "x" * 161}),
    ],
)
def test_a_schema_refuses(name, value):
    assert not accepts(name, value)


@pytest.mark.parametrize("name", ["classify", "extract", "summarize"])
def test_an_output_schema_is_fit_for_strict_mode_and_bounds_its_strings(name):
    output = schema(name)
    assert output["additionalProperties"] is False
    assert output["required"] == list(output["properties"])
    assert all("maxLength" in field or "enum" in field for field in output["properties"].values())
