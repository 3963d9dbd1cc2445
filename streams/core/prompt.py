"""What an llm node sends, and how many tokens that can be at most: known before the call, by decision and node alike."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from schemas.claims import a_claim_in
from schemas.ids import content_hash
from schemas.records import ErrorInfo
from streams.core.outcome import NodeError
from topology.plan import INPUT, NodePlan
from topology.templates import TemplateError, compile_template

MAX_FEEDBACK = 1_500
"""Characters of the previous error that the model is told."""

_FEEDBACK = {
    "malformed_output": "Your previous answer could not be used: {message}. Answer again with one valid JSON object only.",
    "schema": "Your previous answer could not be used: {message}. Answer again with a JSON object that keeps to the schema.",
    "length": "Your previous answer could not be used: {message}. Answer again, complete but shorter.",
    "refusal": "Your previous answer could not be used: {message}. Answer again in the required form, as far as you can.",
}
"""What the next attempt tells the model, by the kind of the previous error; for other kinds it has nothing to learn."""


ROUTES = "routes"
"""What a router's prompt calls its routes: names and descriptions. One that does not name them has them added at its end."""


class Prompt:
    """The prompt of one node that asks a model, compiled."""

    def __init__(self, node: NodePlan) -> None:
        assert node.llm is not None, node.id  # noqa: S101 - the compiler's promise
        self._names = (INPUT, *node.reads)
        self._template = compile_template(node.llm.prompt, node.llm.prompt_path)
        self._routes = None if node.router is None else node.router.routes
        schema = {} if node.llm.output_schema is None else node.llm.output_schema
        self._beside = len(json.dumps([schema, node.llm.params], default=str))
        self._asks = _asks(node)

    def messages(self, inputs: Mapping[str, Any], previous: NodeError | ErrorInfo | None) -> tuple[str, ...]:
        """Return the user messages: the prompt and, after an answer that could not be used, why; TemplateError if it does not render.

        A node without an output is None in the template, so that it can ask for it.
        """
        for name in self._template.names:
            if claim := a_claim_in(inputs.get(name)):
                raise TemplateError(
                    f"{name} has {claim.size} bytes and is in the claim store: a budget, and a router's cache, need the prompt "
                    "before the call is made, where nothing is read. Leave that out, or set claim_check.above_bytes higher",
                    self._template.names[name],
                    self._template.path,
                )
        prompt = self._template.render({ROUTES: self._routes, **dict.fromkeys(self._names), **inputs})
        if self._routes is not None and ROUTES not in self._template.names:
            prompt = f"{prompt}\n\nRoutes:\n{_listed(self._routes)}"
        feedback = feedback_on(previous)
        return (prompt,) if feedback is None else (prompt, feedback)

    def request_hash(self, prompt: str) -> str:
        """Return the SHA-256 over all that an answer depends on: the models, the rendered `prompt`, the schema, the parameters.

        What a retry tells the model of its previous answer is no part of it.
        """
        return content_hash([prompt, *self._asks])

    def most_prompt_tokens(self, messages: tuple[str, ...]) -> int:
        """Return a bound of the prompt's tokens: a token is at least a byte of the messages, their envelope and the schema."""
        return sum(len(text.encode(errors="replace")) + _ENVELOPE for text in messages) + self._beside


def _asks(node: NodePlan) -> list[Any]:
    llm, router = node.llm, node.router
    assert llm is not None, node.id  # noqa: S101 - the compiler's promise
    trusted = (
        [llm.min_confidence, llm.on_low_confidence] if router is None else [router.min_confidence, router.default_route]
    )
    return [list(llm.models), llm.output_schema, llm.params, llm.temperature, llm.max_output_tokens, *trusted]


def _listed(routes: Mapping[str, str]) -> str:
    return "\n".join(f"- {name}: {said}" if said else f"- {name}" for name, said in routes.items())


_ENVELOPE = len('{"role":"user","content":""},')
"""Chat templates put a few tokens around each message: fewer than the JSON around it has bytes."""


def feedback_on(error: NodeError | ErrorInfo | None) -> str | None:
    """Return what to tell the model about its previous answer, or None if the error was not about the answer."""
    text = _FEEDBACK.get(error.kind) if error is not None else None
    if error is None or text is None:
        return None
    message = error.message
    told = (
        message
        if len(message) <= MAX_FEEDBACK
        else f"{message[:MAX_FEEDBACK]}... ({len(message) - MAX_FEEDBACK} more characters)"
    )
    return text.format(message=told.rstrip("."))
