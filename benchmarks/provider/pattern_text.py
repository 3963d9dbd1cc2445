"""Write a text that a regular expression matches, for `pattern` in a schema."""

from __future__ import annotations

import re._constants as codes  # type: ignore[import-not-found]
import re._parser as parser  # type: ignore[import-not-found]
from typing import Any

from benchmarks.provider.chance import Draws

_CATEGORIES = {
    codes.CATEGORY_DIGIT: "0123456789",
    codes.CATEGORY_WORD: "abcdefghij0123456789",
    codes.CATEGORY_SPACE: " ",
    codes.CATEGORY_NOT_DIGIT: "abcdef",
    codes.CATEGORY_NOT_WORD: "-",
    codes.CATEGORY_NOT_SPACE: "abcdef",
}
_ANY = "abcdefghijklmnopqrstuvwxyz0123456789"


def text_for_pattern(pattern: str, draws: Draws) -> str:
    """Return a text that matches `pattern`; look-arounds and back references are not understood."""
    return _text(parser.parse(pattern), draws)


def _text(parsed: Any, draws: Draws) -> str:
    return "".join(_one(code, argument, draws) for code, argument in parsed)


def _one(code: Any, argument: Any, draws: Draws) -> str:
    if code is codes.LITERAL:
        return chr(argument)
    if code is codes.ANY:
        return _ANY[draws.below(len(_ANY))]
    if code is codes.IN:
        choices = _choices(argument)
        return choices[draws.below(len(choices))]
    if code in (codes.MAX_REPEAT, codes.MIN_REPEAT):
        least, most, inner = argument
        count = least + draws.below(min(int(most), least + 4) - least + 1)
        return "".join(_text(inner, draws) for _ in range(count))
    if code is codes.SUBPATTERN:
        return _text(argument[-1], draws)
    if code is codes.BRANCH:
        branches = argument[1]
        return _text(branches[draws.below(len(branches))], draws)
    return ""


def _choices(members: Any) -> str:
    taken, negated = "", False
    for code, argument in members:
        if code is codes.NEGATE:
            negated = True
        elif code is codes.LITERAL:
            taken += chr(argument)
        elif code is codes.RANGE:
            taken += "".join(map(chr, range(argument[0], min(argument[1], argument[0] + 200) + 1)))
        elif code is codes.CATEGORY:
            taken += _CATEGORIES[argument]
    return "".join(c for c in _ANY + "_-. " if c not in taken) if negated else taken
