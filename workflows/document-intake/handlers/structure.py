"""Check what the models said against the text of the document; pure, and never at a loss when a model said nothing."""

import re
from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from typing import Any, NamedTuple


class Found(NamedTuple):
    """A value, normalised, and who had it: the model, the text (by rule), or nobody."""

    value: Any
    by: str | None


MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
SYMBOLS = {"NZ$": "NZD", "R$": "BRL", "€": "EUR", "£": "GBP", "¥": "JPY", "$": "USD"}
CODES = ("AUD", "BRL", "CAD", "CHF", "EUR", "GBP", "INR", "JPY", "KES", "NZD", "PLN", "SEK", "USD")

# In the order of trust: the first kind with a match in its row wins.
KINDS = {
    "contract": r"^\W*(?:[A-Z-]+ )*(?:AGREEMENT|CONTRACT)\b",
    "complaint": r"\bcomplain|\bunhappy\b|\bdisappointed\b|\bunacceptable\b|\brefund\b|\bspoiled\b|\bshocked\b",
    "invoice": r"\binvoice\b|\btotal due\b|\bamount payable\b",
}
KIND_FLAGS = {"contract": re.MULTILINE, "complaint": re.IGNORECASE, "invoice": re.IGNORECASE}

_MONTH = r"(?P<month>Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)[a-z]*"
DATES = (
    r"\b(?P<year>\d{4})-(?P<m>\d{2})-(?P<day>\d{2})\b",
    rf"\b(?P<day>\d{{1,2}})[ -]{_MONTH}[ -](?P<year>\d{{4}})\b",
    rf"\b{_MONTH} (?P<day>\d{{1,2}}), (?P<year>\d{{4}})\b",
    r"\b(?P<day>\d{1,2})[./](?P<m>\d{1,2})[./](?P<year>\d{4})\b",
)
DATE_CUES = r"(?:dated?|issued|effective date|made on)\W*(?:is )?$"

_NUMBER = r"\d{1,3}(?:[.,'’ ]\d{3})+(?:[.,]\d{2})?|\d+(?:[.,]\d{2})?"
_UNIT = "|".join([*map(re.escape, SYMBOLS), *CODES])
AMOUNT = rf"(?P<unit>{_UNIT}) ?(?P<number>{_NUMBER})(?![\d%])"
TOTAL_CUES = r"(?:total|total due|total amount|amount payable|balance due|paid|cost)\b[^\n.]{0,24}$"

REFERENCE = r"\b[A-Z]{1,4}(?:[-/]\w+)+\b|\b\d{2,5}[-/]\d{2,5}\b"
REFERENCE_CUES = r"\b(?:invoice|order|booking|policy|contract|receipt|reference|ref|number|no|n)\b[\s.:#]*(?:is )?$"


def handle(inputs: Mapping[str, Any], context: Any) -> dict[str, Any]:
    """Return the document's record: each field checked, normalised, or found by rule, and what is doubtful."""
    text = inputs["input"]["text"]
    label = (inputs.get("classify") or {}).get("label")
    said = inputs.get("extract") or {}
    summary = check_summary((inputs.get("summarize") or {}).get("summary"), text)

    kind = check_kind(label, text)
    found = {
        "sender": check_party(said.get("sender"), text),
        "recipient": check_party(said.get("recipient"), text),
        "reference": check_reference(said.get("reference"), text),
        "date": check_date(said.get("date"), text),
        "amount": check_amount(said.get("amount"), text),
    }
    return {
        "document_id": inputs["input"]["document_id"],
        "kind": kind.value,
        **{name: field.value for name, field in found.items()},
        "summary": summary.value,
        "found_by": {"kind": kind.by, **{name: field.by for name, field in found.items()}, "summary": summary.by},
        "doubts": [
            *doubt_kind(label, kind),
            *(doubt for name, field in found.items() for doubt in doubt_field(name, said.get(name), field)),
            *doubt_same_parties(found["sender"], found["recipient"]),
            *doubt_date_order(found["date"], text),
            *doubt_total(found["amount"], text),
            *([] if summary.by == "model" else ["summary: none to rely on, the first words of the text stand in"]),
        ],
    }


def check_kind(label: str | None, text: str) -> Found:
    """Keep the model's label unless the words of the text plainly say another kind."""
    by_words = next((kind for kind, words in KINDS.items() if re.search(words, text, KIND_FLAGS[kind])), None)
    if label is not None and by_words in (None, label):
        return Found(label, "model")
    return Found(by_words or "other", "text")


def check_party(said: str | None, text: str) -> Found:
    """Keep a name only if it stands in the text and is no reference number; no rule guesses names."""
    name = " ".join((said or "").split()).strip(" ,.;:")
    if (
        len(name) >= 3
        and name[0].isupper()
        and not re.search(REFERENCE, name)
        and re.search(rf"\b{re.escape(name)}(?!\w)", text)
    ):
        return Found(name, "model")
    return Found(None, None)


def check_reference(said: str | None, text: str) -> Found:
    """Keep a reference that stands in the text whole, without the words around it; else the first that looks like one."""
    stated = re.search(rf"{REFERENCE}|\b\d{{3,}}\b", said or "")
    if stated and not parse_date(said or "") and not re.search(AMOUNT, said or "") and whole(stated[0], text):
        return Found(stated[0], "model")
    candidates = [match for match in re.finditer(rf"{REFERENCE}|\b\d{{3,}}\b", text) if not parse_date(match[0])]
    cued = [match for match in candidates if re.search(REFERENCE_CUES, text[: match.start()], re.IGNORECASE)]
    shaped = [match for match in candidates if re.fullmatch(REFERENCE, match[0])]
    first = next(iter(cued or shaped), None)
    return Found(first[0], "text") if first else Found(None, None)


def check_date(said: str | None, text: str) -> Found:
    """Keep a date that the text has too (in any notation), as ISO 8601; else the one after a cue, else the first."""
    dates = [(match, parsed) for match in find_dates(text) if (parsed := parse_date(match[0]))]
    stated = parse_date(said or "")
    if stated and any(parsed == stated for _, parsed in dates):
        return Found(stated, "model")
    cued = [parsed for match, parsed in dates if re.search(DATE_CUES, text[: match.start()], re.IGNORECASE)]
    first = next(iter(cued or [parsed for _, parsed in dates]), None)
    return Found(first, "text") if first else Found(None, None)


def check_amount(said: str | None, text: str) -> Found:
    """Keep a sum that the text has too, with its currency; else the one called the total, else the largest."""
    sums = [(match, as_sum(match)) for match in re.finditer(AMOUNT, text)]
    stated = re.search(_NUMBER, said or "")
    if stated:
        number = parse_number(stated[0])
        meant = next((money for _, money in sums if Decimal(money["value"]) == number), None)
        if meant:
            return Found(meant, "model")
    largest = max((money for _, money in sums), key=lambda money: Decimal(money["value"]), default=None)
    best = stated_total(text) or largest
    return Found(best, "text") if best else Found(None, None)


def check_summary(said: str | None, text: str) -> Found:
    """Keep a summary that names no long number the text does not have; else the first words of the text."""
    line = " ".join((said or "").split())
    if line and all(number in text for number in re.findall(r"\d{3,}", line)):
        return Found(without_half_word(line), "model")
    return Found(" ".join(text.split()[:20]) + " …", "text")


def doubt_kind(label: str | None, kind: Found) -> list[str]:
    """Say so when the label is not the model's own."""
    if label is None:
        return [f"kind: no model named it, {kind.value!r} by its words"]
    return [] if kind.by == "model" else [f"kind: the model said {label!r}, the words say {kind.value!r}"]


def doubt_field(name: str, said: str | None, field: Found) -> list[str]:
    """Say so when a field is missing, or when the text overruled the model."""
    if field.by == "model":
        return []
    if said:
        instead = "nothing instead" if field.by is None else "taken from the text by rule"
        return [f"{name}: the model's {said!r} is not in the text, {instead}"]
    return [f"{name}: not found"] if field.by is None else []


def doubt_same_parties(sender: Found, recipient: Found) -> list[str]:
    """Say so when one name is on both sides."""
    same = sender.value is not None and sender.value == recipient.value
    return ["recipient: the same as the sender"] if same else []


def doubt_date_order(found: Found, text: str) -> list[str]:
    """Say so when a numeric date could be read month first."""
    for match in re.finditer(DATES[3], text):
        if parse_date(match[0]) == found.value and int(match["m"]) != int(match["day"]) <= 12:
            return [f"date: {match[0]!r} was read day first"]
    return []


def doubt_total(found: Found, text: str) -> list[str]:
    """Say so when the text calls another sum the total, or when a bare $ leaves the currency open."""
    if found.value is None:
        return []
    total = stated_total(text)
    doubts = [f"amount: the text calls {total['value']} the total"] if total and total != found.value else []
    bare = found.value["currency"] == "USD" and "USD" not in text
    return [*doubts, "amount: a bare '$' was read as USD"] if bare else doubts


def find_dates(text: str) -> list[re.Match[str]]:
    """Return everything that is written like a date, in the order of the text."""
    return sorted((match for form in DATES for match in re.finditer(form, text)), key=lambda match: match.start())


def parse_date(written: str) -> str | None:
    """Return the first date in it as ISO 8601, or None if there is none or it is no day of the calendar."""
    for match in find_dates(written):
        parts = match.groupdict()
        month = MONTHS.index(parts["month"][:3].lower()) + 1 if parts.get("month") else int(parts["m"])
        try:
            return date(int(parts["year"]), month, int(parts["day"])).isoformat()
        except ValueError:
            continue
    return None


def parse_number(written: str) -> Decimal:
    """Read 1,284.50, 1.284,50, 1'284.50 and 1284 alike: a group of three digits is thousands, of two is cents."""
    cents = re.search(r"[.,](\d{2})$", written)
    whole_part = re.sub(r"\D", "", written[: cents.start()] if cents else written)
    return Decimal(f"{whole_part}.{cents[1] if cents else '00'}")


def stated_total(text: str) -> dict[str, str] | None:
    """Return the last sum that follows "total", "amount payable" and the like."""
    sums = re.finditer(AMOUNT, text)
    return next(
        (as_sum(match) for match in reversed([*sums]) if re.search(TOTAL_CUES, text[: match.start()], re.IGNORECASE)),
        None,
    )


def as_sum(match: re.Match[str]) -> dict[str, str]:
    """Return a sum as currency code and decimal; the value is text, as money is no float."""
    return {"currency": SYMBOLS.get(match["unit"], match["unit"]), "value": str(parse_number(match["number"]))}


def without_half_word(line: str) -> str:
    """Return the line; if it does not end as a sentence does, its last word may be cut, and goes."""
    return line if line[-1] in ".!?…" or " " not in line else line.rsplit(" ", 1)[0].rstrip(" ,;:") + " …"


def whole(part: str, text: str) -> bool:
    """Return whether it stands in the text, and not as a piece of a longer word or number."""
    return re.search(rf"(?<![\w/-]){re.escape(part)}(?![\w/-])", text) is not None
