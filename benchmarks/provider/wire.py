"""Turn an answer and a fault into bytes with delays between them."""

from __future__ import annotations

from dataclasses import dataclass
from email.utils import formatdate
from http import HTTPStatus
from typing import Any, Literal

import orjson

from benchmarks.provider.config import Config
from benchmarks.provider.exchange import Answer, ChatRequest

End = Literal["keep", "close", "reset", "hang"]


@dataclass(frozen=True, slots=True)
class Reply:
    """Pieces to write, each after its delay in seconds, and what becomes of the connection then."""

    status: int
    pieces: tuple[tuple[float, bytes], ...]
    end: End = "keep"


def _head(status: int, length: int | None, kind: str, extra: tuple[tuple[str, str], ...] = ()) -> bytes:
    lines = [f"HTTP/1.1 {status} {HTTPStatus(status).phrase}", f"content-type: {kind}"]
    lines.append("transfer-encoding: chunked" if length is None else f"content-length: {length}")
    lines.extend(f"{name}: {value}" for name, value in extra)
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


_OK = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b"


def json_reply(value: Any, status: int = 200, delay: float = 0.0, extra: tuple[tuple[str, str], ...] = ()) -> Reply:
    """Answer with a JSON body."""
    body = orjson.dumps(value)
    return Reply(status, ((delay, _head(status, len(body), "application/json", extra) + body),))


def error_reply(
    status: int, text: str, kind: str, delay: float = 0.0, extra: tuple[tuple[str, str], ...] = ()
) -> Reply:
    """Answer with an error in OpenAI's shape."""
    error = {"message": text, "type": kind, "param": None, "code": kind}
    return json_reply({"error": error}, status, delay, extra)


def chat_reply(
    request: ChatRequest, fault: str | None, delay: float, answer: Answer, config: Config, ordinal: int
) -> Reply:
    """Answer a chat completion, or fail the way `fault` says."""
    failed = _failure(request, fault, delay, config)
    if failed is not None:
        return failed
    if request.stream:
        return _streamed(request, fault, delay, answer, config, ordinal)
    body = _completion(request, answer, ordinal)
    if fault == "no_choices":
        body["choices"] = []
    encoded = orjson.dumps(body)
    whole = _OK % (len(encoded), encoded)
    if fault == "cut_body":
        return Reply(200, ((delay, whole[: -len(encoded) // 2]),), "close")
    if fault == "slow_loris":
        trickle = config.trickle_ms / 1000
        return Reply(200, ((delay, whole[:1]), *((trickle, whole[i : i + 1]) for i in range(1, len(whole)))))
    return Reply(200, ((delay, whole),))


def _failure(request: ChatRequest, fault: str | None, delay: float, config: Config) -> Reply | None:
    match fault:
        case "rate_limit" | "rate_limit_date" | "rate_limit_ms":
            return _rate_limited(fault, delay, config)
        case "http_401":
            given = request.headers.get("authorization", "")
            return error_reply(401, f"Incorrect API key provided: {given}", "invalid_api_key", delay)
        case "http_400" | "http_404" | "http_408" | "http_409" | "http_500" | "http_503":
            status = int(fault.removeprefix("http_"))
            return error_reply(status, f"injected {status}", HTTPStatus(status).name.lower(), delay)
        case "hang":
            return Reply(0, (), "hang")
        case "reset":
            return Reply(0, ((delay, b""),), "reset")
        case "close":
            return Reply(0, ((delay, b""),), "close")
        case "malformed_body":
            broken = b'{"id": "chatcmpl-1", "choices": [{"mess'
            return Reply(200, ((delay, _OK % (len(broken), broken)),))
        case "html_body":
            page = b"<html><body>502 Bad Gateway</body></html>"
            return Reply(200, ((delay, _head(200, len(page), "text/html") + page),))
        case _:
            return None


def _rate_limited(fault: str, delay: float, config: Config) -> Reply:
    wait = config.retry_after_s
    if fault == "rate_limit_ms":
        extra = ("retry-after-ms", str(int(wait * 1000)))
    elif fault == "rate_limit_date":
        import time  # the one fault that needs the clock

        extra = ("retry-after", formatdate(time.time() + wait, usegmt=True))
    else:
        extra = ("retry-after", f"{wait:g}")
    return error_reply(429, "Rate limit reached for requests", "rate_limit_exceeded", delay, (extra,))


def _usage(answer: Answer) -> dict[str, int]:
    return {
        "prompt_tokens": answer.prompt_tokens,
        "completion_tokens": answer.completion_tokens,
        "total_tokens": answer.prompt_tokens + answer.completion_tokens,
    }


def _completion(request: ChatRequest, answer: Answer, ordinal: int) -> dict[str, Any]:
    said = {"role": "assistant", "content": answer.content, "refusal": answer.refusal}
    return {
        "id": f"chatcmpl-{ordinal}",
        "object": "chat.completion",
        "created": 1_767_225_600,
        "model": request.model,
        "choices": [{"index": 0, "message": said, "finish_reason": answer.finish_reason, "logprobs": None}],
        "usage": _usage(answer),
    }


def _chunked(payload: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(payload), payload)


def _frame(value: Any) -> bytes:
    return _chunked(b"data: " + orjson.dumps(value) + b"\n\n")


def _streamed(
    request: ChatRequest, fault: str | None, delay: float, answer: Answer, config: Config, ordinal: int
) -> Reply:
    pause = (config.trickle_ms if fault == "slow_loris" else config.chunk_ms) / 1000
    frames = _frames(request, answer, config.chunk_chars, ordinal)
    if fault == "malformed_chunk":
        frames.insert(len(frames) // 2, _chunked(b'data: {"id": "chatc\n\n'))
    last = _chunked(b"data: [DONE]\n\n") + b"0\r\n\r\n"
    if fault == "cut_stream":
        frames, last = frames[: max(1, len(frames) // 2)], b"0\r\n\r\n"
    elif fault == "cut_body":
        frames, last = frames[: max(1, len(frames) // 2)], b""
    head = _head(200, None, "text/event-stream")
    if not pause:
        return Reply(200, ((delay, head + b"".join(frames) + last),), "keep" if last else "close")
    pieces = ((delay, head), *((pause, frame) for frame in frames), (0.0, last))
    return Reply(200, pieces, "keep" if last else "close")


def _frames(request: ChatRequest, answer: Answer, size: int, ordinal: int) -> list[bytes]:
    shared = {
        "id": f"chatcmpl-{ordinal}",
        "object": "chat.completion.chunk",
        "created": 1_767_225_600,
        "model": request.model,
    }

    def chunk(delta: dict[str, Any], finish: str | None = None) -> bytes:
        return _frame({**shared, "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]})

    content = answer.content or ""
    frames = [chunk({"role": "assistant", "content": ""})]
    frames += [chunk({"content": content[i : i + size]}) for i in range(0, len(content), size)]
    if answer.refusal:
        frames.append(chunk({"refusal": answer.refusal}))
    if answer.finish_reason:
        frames.append(chunk({}, answer.finish_reason))
    if request.include_usage:
        frames.append(_frame({**shared, "choices": [], "usage": _usage(answer)}))
    return frames
