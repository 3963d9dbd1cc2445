"""A terminal for one page: commands in order, with the folder and the variables that the ones before left; others beside it."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path

from tests.docs.pages import Command

STAYS = re.compile(r"^(\S+=\S+ )*(\S*/)?penstock (worker|console)\b")
"""Commands that do not end by themselves; others say in their comment that they want a terminal of their own."""
TERMINAL = re.compile(r"\bin a (first|second|third|fourth)\b")
EXIT = re.compile(r"\bexit (\d)\b")
READY = re.compile(r"worker ready|token: ")
ADDRESS = re.compile(r"^(console|bootstrap|url):? *(?:http://)?(127\.0\.0\.1:\d+)", re.MULTILINE)
DEFAULT = {"console": "127.0.0.1:8088", "bootstrap": "127.0.0.1:9092", "url": "127.0.0.1:8081"}
"""What tells its address when it starts, and the one that pages write: the console, Kafka, the schema registry."""
PERHAPS = re.compile(r"(?:^|\| *)(curl|openssl|sqlite3)\b")
"""Programs that a machine need not have: without them the command is passed over."""
PATIENCE_S = 120


@dataclass
class Shell:
    """Runs what a page says; `places` are addresses of the page and what stands for them on this machine."""

    folder: Path
    env: dict[str, str]
    places: dict[str, str]
    beside: list[tuple[subprocess.Popen[bytes], Path]] = field(default_factory=list)
    patience_s: float = PATIENCE_S

    def __post_init__(self) -> None:
        self.cwd = self.folder
        self._scratch = self.folder / ".shell"
        self._scratch.mkdir()

    def run(self, command: Command) -> str:
        """Run a command and return what it said, if it ends; AssertionError with all of that if it does not end as the page says."""
        text = self._here(command.text)
        if (foreign := PERHAPS.search(text)) and shutil.which(foreign[1]) is None:
            return ""
        if text.endswith("kafka stop"):
            self.close()  # a page says so: the workers first
        if STAYS.match(text) or TERMINAL.search(command.comment):
            self._start(text)
            return ""
        code, output = self._to_its_end(text)
        told = EXIT.search(command.comment)
        expected = int(told[1]) if told else 0
        assert code == expected, (
            f"line {command.line}: {text}\nexit {code}, not {expected}:\n{output}\n{self._told_beside()}"
        )
        self._note_addresses(output)
        for line in command.shown:
            pattern = ".*".join(map(re.escape, re.split(r"\.\.\.", self._here(line.strip()))))
            assert re.search(pattern, output), f"line {command.line}: {text}\ndoes not say {line!r}:\n{output}"
        return output

    def close(self) -> None:
        """End what runs beside, as Ctrl-C would."""
        for process, _ in self.beside:
            _signal(process, signal.SIGTERM)
        for process, _ in self.beside:
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                _signal(process, signal.SIGKILL)
                process.wait()
        self.beside.clear()

    def _here(self, text: str) -> str:
        for written, real in self.places.items():
            text = text.replace(written, real)
        return text

    def _to_its_end(self, text: str) -> tuple[int, str]:
        state, said = self._scratch / "state", self._scratch / "said"
        script = f"set -a -o pipefail\n{text}\ncode=$?\n{{ pwd; env -0; }} >{state}\nexit $code"
        with said.open("wb") as output:
            process = self._spawn(script, output)
        try:
            code = process.wait(self.patience_s)
        except subprocess.TimeoutExpired:
            _signal(process, signal.SIGKILL)
            code = process.wait()
        cwd, _, env = state.read_text().partition("\n") if state.exists() else ("", "", "")
        if cwd:
            self.cwd = Path(cwd)
            self.env = dict(pair.split("=", 1) for pair in env.split("\0") if "=" in pair)
        return code, said.read_text(errors="replace")

    def _start(self, text: str) -> None:
        said = self._scratch / f"beside-{len(self.beside)}"
        with said.open("wb") as output:
            process = self._spawn(text, output)
        self.beside.append((process, said))
        if not STAYS.match(text):
            return
        deadline = time.monotonic() + PATIENCE_S
        while not READY.search(said.read_text(errors="replace")):
            assert process.poll() is None, f"{text}\nended: {said.read_text(errors='replace')}"
            assert time.monotonic() < deadline, f"{text}\nis not ready: {said.read_text(errors='replace')}"
            time.sleep(0.05)
        self._note_addresses(said.read_text(errors="replace"))

    def _spawn(self, script: str, output: object) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            ["bash", "-c", script],
            cwd=self.cwd,
            env=self.env,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def _note_addresses(self, output: str) -> None:
        for found in ADDRESS.finditer(output):
            self.places[DEFAULT[found[1]]] = found[2]

    def _told_beside(self) -> str:
        return "\n".join(f"beside: {said.read_text(errors='replace')[-2000:]}" for _, said in self.beside)


def _signal(process: subprocess.Popen[bytes], number: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, number)
