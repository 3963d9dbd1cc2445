"""The server process: llama.cpp's own HTTP server, in OpenAI's protocol, on 127.0.0.1 until SIGTERM."""

import os
import signal
import threading
from typing import Any

from penstock.localmodel import weights

HOST = "127.0.0.1"
SLOTS = 4
SLOT_CONTEXT = 4096
"""Tokens per slot, prompt and answer together: a prompt of 2k, an answer of 1k, and room for a repair prompt."""


def default_threads() -> int:
    """Return half the cores.

    llama.cpp's threads wait for each other by spinning: with as many as there are cores, and a broker and a worker on
    them too, the output fell from 70 tokens/s to less than one. One thread of two degrades as anything else does.
    """
    return max(1, (os.cpu_count() or 2) // 2)


def serve(port: int, threads: int) -> None:
    """Load the model, serve it, and end the process when SIGTERM or SIGINT comes."""
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    import xllamacpp

    running = xllamacpp.Server(parameters(xllamacpp.CommonParams(), port, threads))
    ended.wait()
    _ = running  # held until here: its destructor stops the server, but only after the calls in flight
    os._exit(0)


def parameters(params: Any, port: int, threads: int) -> Any:
    """Fill in what differs from llama.cpp's defaults."""
    path = weights.find()
    params.model.path = str(path)
    params.model_alias = {weights.name(path)}
    params.hostnames = [HOST]
    params.port = port
    params.n_parallel = SLOTS
    params.n_ctx = SLOTS * SLOT_CONTEXT
    params.cpuparams.n_threads = threads
    params.cpuparams_batch.n_threads = threads
    # With its Jinja templates on, llama.cpp turns a response_format into its own grammar, which forgets minimum and
    # maximum of numbers; with the built-in template the schema goes to LLGuidance as it is, which keeps them.
    params.use_jinja = False
    # A request's own values win. No repeat penalty: it counts the prompt's tokens too, so that the model may not copy what it
    # is asked to extract. What bounds an answer is maxLength and maxItems in its schema.
    params.sampling.temp = 0.3
    params.sampling.penalty_repeat = 1.0
    params.ui = False
    params.cors_origins = ""
    params.endpoint_slots = False
    params.cache_ram_mib = 0
    return params
