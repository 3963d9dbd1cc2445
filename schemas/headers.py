"""Names of record headers: CloudEvents binary mode, W3C trace context, and the dead letter's cause. All values are text."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

CE_ID = "ce_id"
CE_TYPE = "ce_type"
CE_SOURCE = "ce_source"
CE_SPECVERSION = "ce_specversion"
CE_TIME = "ce_time"
CE_SUBJECT = "ce_subject"
CONTENT_TYPE = "content-type"
TRACEPARENT = "traceparent"
RUN_ID = "penstock.run_id"
"""Set by `penstock publish --run-id`: names the run whatever `run_id_from` says."""
REUSED = "penstock.reused"
"""Set by `penstock runs fork`: the nodes, with commas between them, whose ends were copied into the run before it starts."""
CLAIM = "penstock.claim"
"""On an input whose value is a claim (schemas/claims.py): only with this header is it one."""
OWNER_EPOCH = "penstock.owner_epoch"
"""On every changelog record, tombstones too: which ownership of the partition wrote it."""
ERROR = "penstock.error."
"""Prefix of the dead letter's headers: kind, message, node, attempt, topic, partition, offset, traceback; raw, the model's last answer."""

Headers = tuple[tuple[str, bytes], ...]


def headers_of(values: Mapping[str, str | int | None]) -> Headers:
    """Return `values` as record headers, leaving out those that are None."""
    return tuple((name, str(value).encode()) for name, value in values.items() if value is not None)


def header(headers: Iterable[tuple[str, bytes | None]], name: str) -> str | None:
    """Return the text of the last header called `name`, None if there is none or it is no text."""
    found = None
    for key, value in headers:
        if key == name and value is not None:
            found = value
    try:
        return None if found is None else found.decode()
    except UnicodeDecodeError:
        return None


def public_headers(ce_id: str, ce_type: str, source: str, time: str, subject: str, traceparent: str | None) -> Headers:
    """Return the CloudEvents binary-mode headers of a record on a public topic; there is no such thing as an empty subject."""
    return headers_of(
        {
            CE_ID: ce_id,
            CE_TYPE: ce_type,
            CE_SOURCE: source,
            CE_SPECVERSION: "1.0",
            CE_TIME: time,
            CE_SUBJECT: subject or None,
            TRACEPARENT: traceparent,
        }
    )
