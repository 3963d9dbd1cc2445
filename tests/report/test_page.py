"""The page of a shadow's differences: whole by itself, and nothing that a model said is anything but text."""

from __future__ import annotations

import json
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.client.shadow_diff import Summary, compared
from penstock.report import Page
from penstock.report.page import embedded

EVIL = "</script><script>document.title='owned'</script><!--<img src=x onerror=\"document.title='owned'\">\u2028"


class Seen(HTMLParser):
    """Notes every element, and what stands in scripts."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.loads: list[str] = []
        self.scripts: dict[str, str] = {}
        self._in: str | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        known = dict(attrs)
        self.loads += [name for name in ("src", "href") if name in known]
        self._in = (known.get("id") or "own") if tag == "script" else None

    def handle_data(self, data: str) -> None:
        if self._in is not None:
            self.scripts[self._in] = data
            self._in = None


def line(run_id: str, before: Any, after: Any) -> dict[str, Any]:
    def result(said: Any) -> dict[str, Any]:
        nodes = {"tell": {"status": "success", "reused": False}}
        usage = {"total_tokens": 7}
        outputs = {"tell": {"said": said}}
        return {"run_id": run_id, "status": "success", "outputs": outputs, "nodes": nodes, "usage": usage} | {
            "cost_usd": 0.5,
            "duration_ms": 20,
        }

    return compared(result(before), result(after))


def written(folder: Path) -> tuple[Path, list[dict[str, Any]]]:
    file, summary = folder / "report.html", Summary()
    page = Page(file, {"workflow": EVIL, "version": "2"})
    lines = [line("same", "a", "a"), line("evil", "tame", EVIL), line("other", {"n": 1}, {"n": 2})]
    for each in lines:
        assert not file.exists()
        page.add(each)
        summary.take(each)
    page.end(summary.told())
    page.close()
    assert [path.name for path in folder.iterdir()] == ["report.html"]
    return file, lines


def test_it_holds_its_data_as_data_and_loads_nothing(tmp_path: Path) -> None:
    file, lines = written(tmp_path)
    seen = Seen()
    seen.feed(file.read_text())
    assert seen.tags.count("script") == 4
    assert "img" not in seen.tags
    assert seen.loads == []
    assert json.loads(seen.scripts["data-lines"]) == lines
    assert json.loads(seen.scripts["data-summary"])["changed"] == 2


@given(st.text() | st.dictionaries(st.text(), st.text()))
def test_nothing_in_embedded_json_means_anything_to_html(value: Any) -> None:
    text = embedded(value)
    assert not set("<>&\u2028\u2029") & set(text)
    assert json.loads(text) == value


def test_one_that_is_given_up_leaves_nothing(tmp_path: Path) -> None:
    Page(tmp_path / "report.html", {"workflow": "w"}).close()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(shutil.which("chromium") is None, reason="no chromium on this machine")
def test_a_browser_shows_it_and_runs_nothing_of_the_data(tmp_path: Path) -> None:
    file, _ = written(tmp_path)
    profile = tmp_path / "profile"
    command = ["chromium", "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={profile}", "--dump-dom"]
    done = subprocess.run([*command, file.as_uri()], capture_output=True, text=True, timeout=50, check=True)
    assert 'class="row" role="option" id="run-1"' in done.stdout, "both changed runs are listed"
    assert "<title>owned" not in done.stdout
    assert "&lt;/script&gt;&lt;script&gt;" in done.stdout.split('<article id="run"')[1], "what the model said, as text"
