"""Every route of a router leads somewhere, or there is a default."""

from __future__ import annotations

import pytest

from tests.topology.workflow_files import function, load, nodes

ROUTER = "- {id: r, type: router, model: m, prompt_template: prompts/p.j2, routes: [x, y]}\n"
RULED = "- {id: r, type: router, default_route: x, routes: [x, y], rules: [{when: input.a == 1, route: y}]}\n"


def lost(text: str) -> list[str]:
    """Return the routes that are said to lead nowhere."""
    messages = [error.message for error in load(nodes(text)).errors]
    assert all("leads nowhere: no node has when: r.route == " in message for message in messages), messages
    return [message.split("route '")[1][0] for message in messages]


def when(node: str, condition: str, *more: str) -> str:
    return function(node, "r", *more, more=f', when: "{condition}"')


@pytest.mark.parametrize(
    ("below", "nowhere"),
    [
        (when("a", "r.route == 'x'"), ["y"]),
        (when("a", "r.route == 'x'") + when("b", "r.route == 'y'"), []),
        (when("a", "r.route in ['x', 'y']"), []),
        (when("a", "r.route != 'x'"), ["x"]),
        (when("a", "r.route == 'z'"), ["x", "y"]),
        (when("a", "r.route == 'x' && r.confidence > 0.5"), ["y"]),
        (when("a", "r.route == 'x'") + function("b", "r"), []),
        (function("b", "r"), []),
        ("", []),
        (when("a", "r.route == 'x'") + function("c") + when("b", "r.route == 'y' && c.ok", "c"), []),
    ],
)
def test_a_route_that_nobody_takes_is_an_error(below: str, nowhere: list[str]) -> None:
    assert lost(ROUTER + below) == nowhere


def test_with_a_default_there_is_no_need() -> None:
    assert lost(RULED + when("a", "r.route == 'x'")) == []
