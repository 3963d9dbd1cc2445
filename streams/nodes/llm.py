"""The llm node: renders its prompt, asks the model once, hands back what came."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from streams.core.outcome import Failed, NodeError, NodeInput, Outcome
from streams.nodes.resources import Resources
from streams.providers.openai_chat import ChatRequest, OutputSchema
from streams.providers.redact import cap, safe_message
from topology.json_schema import compile_schema
from topology.plan import INPUT, LlmPlan, NodePlan
from topology.templates import TemplateError, compile_template

_FEEDBACK = {
    "malformed_output": "Your previous answer could not be used: {message}. Answer again with one valid JSON object only.",
    "schema": "Your previous answer could not be used: {message}. Answer again with a JSON object that keeps to the schema.",
    "length": "Your previous answer could not be used: {message}. Answer again, complete but shorter.",
    "refusal": "Your previous answer could not be used: {message}. Answer again in the required form, as far as you can.",
}
"""What the next attempt tells the model, by the kind of the previous error; for other kinds it has nothing to learn."""


class LlmNode:
    """One llm node of a plan."""

    def __init__(self, node: NodePlan, resources: Resources) -> None:
        assert node.llm is not None, node.id  # noqa: S101 - the compiler's promise
        self._node = node
        self._llm: LlmPlan = node.llm
        self._template = compile_template(node.llm.prompt, node.llm.prompt_path)
        self._output = _output_schema(node.id, node.llm)
        self._provider = resources.providers.provider_for(node.llm.model)
        self._secrets = resources.providers.secrets

    async def execute(self, node_input: NodeInput) -> Outcome:
        """Make one attempt."""
        try:
            prompt = self._template.render(self._variables(node_input.inputs))
        except TemplateError as error:
            return Failed(NodeError("template", safe_message(str(error), self._secrets), retryable=False))
        return await self._provider.complete(self._request(prompt, node_input))

    def _variables(self, inputs: Mapping[str, Any]) -> dict[str, Any]:
        """Return every name the node may use; a node without an output is None, so that a template can ask for it."""
        return {**dict.fromkeys((INPUT, *self._node.reads)), **inputs}

    def _request(self, prompt: str, node_input: NodeInput) -> ChatRequest:
        feedback = feedback_on(node_input.previous_error)
        return ChatRequest(
            model=self._llm.model,
            messages=(prompt,) if feedback is None else (prompt, feedback),
            max_output_tokens=self._llm.max_output_tokens,
            timeout_ms=self._node.timeout_ms,
            idempotency_key=f"{node_input.run_id}/{node_input.node}/{node_input.epoch}/{node_input.seq}",
            temperature=self._llm.temperature,
            params=self._llm.params,
            output=self._output,
        )


def feedback_on(error: NodeError | None) -> str | None:
    """Return what to tell the model about its previous answer, or None if the error was not about the answer."""
    text = _FEEDBACK.get(error.kind) if error is not None else None
    return None if error is None or text is None else text.format(message=cap(error.message, 1_500).rstrip("."))


def _output_schema(node_id: str, llm: LlmPlan) -> OutputSchema | None:
    if llm.output_schema is None:
        return None
    return OutputSchema(
        node_id[:64], llm.output_schema, compile_schema(llm.output_schema, f"output_schema of {node_id}")
    )
