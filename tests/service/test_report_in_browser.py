"""A report opened from disk in a real browser: what stands in the page, and that nothing in it ran."""

from __future__ import annotations

import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import pytest
from report_facts import HOSTILE, IMAGE, SCRIPT, curves, diagnostics, run_facts

from contexta.interpretation.reports import snapshot_report

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)

pytestmark = pytest.mark.skipif(
    BROWSER is None, reason="none of chromium, chromium-browser, google-chrome is installed"
)


class Dom(HTMLParser):
    """Counts elements and collects the text of cells, headings and charts."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.counts: dict[str, int] = {}
        self.texts: list[tuple[str, str]] = []
        self.ids: list[str] = []
        self._open: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.counts[tag] = self.counts.get(tag, 0) + 1
        self.ids += [value for name, value in attrs if name == "id" and value]
        self._open.append(tag)
        self.texts.append((tag, ""))

    def handle_endtag(self, tag: str) -> None:
        while self._open and self._open.pop() != tag:
            pass

    def handle_data(self, data: str) -> None:
        self.texts.append((self._open[-1] if self._open else "", data))

    def of(self, tag: str) -> set[str]:
        return {text for found, text in self.texts if found == tag}


@pytest.fixture(scope="module")
def dom(tmp_path_factory: pytest.TempPathFactory) -> Dom:
    assert BROWSER is not None
    folder = tmp_path_factory.mktemp("report")
    report = folder / "report.html"
    report.write_text(snapshot_report(run_facts(), diagnostics(), curves=curves()).to_html(), encoding="utf-8")
    return Dom(opened(BROWSER, report, folder / "profile"))


def opened(browser: str, report: Path, profile: Path) -> str:
    """Return the page as the browser holds it after loading."""
    switches = [
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        f"--user-data-dir={profile}",
        "--dump-dom",
    ]
    done = subprocess.run([browser, *switches, report.as_uri()], capture_output=True, timeout=120, check=True)
    return done.stdout.decode("utf-8")


def test_the_sections_cells_and_charts_of_the_report_are_in_the_page(dom: Dom) -> None:
    assert {"Run Summary", "Stages", "Diagnostics", "Completeness Notes", "Provenance"} <= dom.of("h2")
    assert {"step_time", "batch-4", "canary", "102458112"} <= dom.of("td")
    assert {"NaN", "failed", "completed", "lost"} <= dom.of("span")
    assert dom.counts["figure"] == 4
    assert dom.counts["svg"] == 4 + 2  # two more in the legend of the chart with two lines
    assert dom.counts["rect"] == 16  # two charts of eight ranks
    assert dom.counts["path"] >= 4


def test_hostile_text_stays_text_and_nothing_ran(dom: Dom) -> None:
    assert dom.of("title") >= {"Run Snapshot Report: run:vision.resnet50-ddp"}  # a script would have set it to "ran"
    assert "ran" not in dom.of("title")
    assert not {"script", "img", "b", "iframe", "link"} & set(dom.counts)
    assert "extra" not in dom.ids
    cells = dom.of("td")
    assert SCRIPT in cells
    assert IMAGE in cells
    assert HOSTILE[4] in cells
