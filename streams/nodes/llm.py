"""The llm node: renders its prompt, asks the model once, hands back what came."""

from __future__ import annotations

from schemas.quick import replace
from streams.core.outcome import Done, Failed, NodeError, NodeInput, Outcome
from streams.core.prompt import Prompt
from streams.nodes.resources import Resources
from streams.providers.openai_chat import ChatRequest, OutputSchema
from streams.providers.redact import safe_message
from topology.json_schema import compile_schema
from topology.plan import LlmPlan, NodePlan
from topology.templates import TemplateError


class LlmNode:
    """One llm node of a plan."""

    def __init__(self, node: NodePlan, resources: Resources) -> None:
        assert node.llm is not None, node.id  # noqa: S101 - the compiler's promise
        self._node = node
        self._llm: LlmPlan = node.llm
        self._prompt = Prompt(node)
        self._output = _output_schema(node.id, node.llm)
        self._provider_of = {model: resources.providers.provider_for(model) for model in node.llm.models}
        self._secrets = resources.providers.secrets

    async def execute(self, node_input: NodeInput) -> Outcome:
        """Make one attempt."""
        try:
            messages = self._prompt.messages(node_input.inputs, node_input.previous_error)
        except TemplateError as error:
            return Failed(NodeError("template", safe_message(str(error), self._secrets), retryable=False))
        model = node_input.model or self._llm.models[0]
        outcome = await self._provider_of[model].complete(self._request(model, messages, node_input))
        if not isinstance(outcome, Done):
            return outcome
        return self._trusted(replace(outcome, request_hash=self._prompt.request_hash(messages[0])))

    def _trusted(self, done: Done) -> Done | Failed:
        """Return an answer the model is sure enough of, else the failure that says so."""
        least = self._llm.min_confidence
        if least is None:
            return done
        said = done.output.get("confidence")
        sure = isinstance(said, int | float) and not isinstance(said, bool) and said >= least
        if sure:
            return done
        shown = said if isinstance(said, int | float) else "not told"
        error = NodeError("low_confidence", f"confidence {shown} is below min_confidence {least}", retryable=False)
        asked = done.output if self._llm.on_low_confidence == "review" else None
        return Failed(error, done.usage, done.cost_usd, done.model, done.raw, done.metered, done.prompt_hash, asked)

    def _request(self, model: str, messages: tuple[str, ...], node_input: NodeInput) -> ChatRequest:
        return ChatRequest(
            model=model,
            messages=messages,
            max_output_tokens=self._llm.max_output_tokens,
            timeout_ms=self._node.timeout_ms,
            idempotency_key=f"{node_input.run_id}/{node_input.node}/{node_input.epoch}/{node_input.seq}",
            temperature=self._llm.temperature,
            params=self._llm.params,
            output=self._output,
            deferred=node_input.deferred,
            last_chance=node_input.last_chance,
            headers=node_input.headers,
            on_delta=node_input.on_delta,
        )


def _output_schema(node_id: str, llm: LlmPlan) -> OutputSchema | None:
    if llm.output_schema is None:
        return None
    return OutputSchema(
        node_id[:64], llm.output_schema, compile_schema(llm.output_schema, f"output_schema of {node_id}")
    )
