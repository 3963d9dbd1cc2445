"""Every name that a span, an event or a standard metric has: OpenTelemetry's conventions as of 1.40, and Penstock's own.

Literals, because the conventions for generative AI and messaging are still moved about in the packages that define them.
"""

from __future__ import annotations

# ---- generative AI --------------------------------------------------------------------------------------------------
GEN_AI_OPERATION = "gen_ai.operation.name"
GEN_AI_PROVIDER = "gen_ai.provider.name"
GEN_AI_REQUEST_MODEL = "gen_ai.request.model"
GEN_AI_REQUEST_MAX_TOKENS = "gen_ai.request.max_tokens"
GEN_AI_REQUEST_TEMPERATURE = "gen_ai.request.temperature"
GEN_AI_REQUEST_STREAM = "gen_ai.request.stream"
GEN_AI_OUTPUT_TYPE = "gen_ai.output.type"
GEN_AI_RESPONSE_MODEL = "gen_ai.response.model"
GEN_AI_FINISH_REASONS = "gen_ai.response.finish_reasons"
GEN_AI_FIRST_CHUNK = "gen_ai.response.time_to_first_chunk"
GEN_AI_INPUT_TOKENS = "gen_ai.usage.input_tokens"
GEN_AI_OUTPUT_TOKENS = "gen_ai.usage.output_tokens"
GEN_AI_CACHED_TOKENS = "gen_ai.usage.cache_read.input_tokens"
GEN_AI_INPUT_MESSAGES = "gen_ai.input.messages"
GEN_AI_OUTPUT_MESSAGES = "gen_ai.output.messages"
GEN_AI_TOKEN_TYPE = "gen_ai.token.type"  # noqa: S105 - no password
GEN_AI_DURATION_METRIC = "gen_ai.client.operation.duration"
GEN_AI_TOKEN_METRIC = "gen_ai.client.token.usage"  # noqa: S105
CHAT = "chat"
CAPTURE_CONTENT = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"
"""The variable that allows prompts and answers in spans."""

# ---- messaging ------------------------------------------------------------------------------------------------------
MESSAGING_SYSTEM = "messaging.system"
MESSAGING_DESTINATION = "messaging.destination.name"
MESSAGING_PARTITION = "messaging.destination.partition.id"
MESSAGING_OFFSET = "messaging.kafka.offset"
MESSAGING_GROUP = "messaging.consumer.group.name"
MESSAGING_MESSAGE_ID = "messaging.message.id"
MESSAGING_OPERATION = "messaging.operation.name"
MESSAGING_OPERATION_TYPE = "messaging.operation.type"
KAFKA = "kafka"

# ---- general --------------------------------------------------------------------------------------------------------
ERROR_TYPE = "error.type"
SERVER_ADDRESS = "server.address"
SERVER_PORT = "server.port"
SERVICE_INSTANCE = "service.instance.id"

# ---- Penstock's own -------------------------------------------------------------------------------------------------
WORKFLOW = "penstock.workflow.id"
WORKFLOW_VERSION = "penstock.workflow.version"
RUN_ID = "penstock.run_id"
EPOCH = "penstock.epoch"
STATUS = "penstock.status"
NODE = "penstock.node.id"
NODE_KIND = "penstock.node.kind"
ITEM = "penstock.item.index"
ATTEMPT = "penstock.attempt"
ATTEMPTS = "penstock.attempts"
SEQ = "penstock.seq"
LAUNCH = "penstock.launch"
OUTCOME = "penstock.outcome"
QUEUE_WAIT = "penstock.queue_wait_ms"
MODEL = "penstock.model"
INPUT_TOKENS = "penstock.tokens.input"
OUTPUT_TOKENS = "penstock.tokens.output"
COST = "penstock.cost_usd"
SCHEMA_VALID = "penstock.schema.valid"
CONFIDENCE = "penstock.confidence"
ROUTE = "penstock.route"
REUSED = "penstock.reused"
DECISION = "penstock.review.decision"
LINK = "penstock.link"
"""What a linked span is to the one that links to it."""

EVENT_RETRY = "penstock.retry"
EVENT_FALLBACK = "penstock.fallback"
EVENT_BREAKER = "penstock.breaker"
EVENT_RATE_LIMIT = "penstock.rate_limit"
EVENT_BUDGET = "penstock.budget"
EVENT_LOW_CONFIDENCE = "penstock.low_confidence"
