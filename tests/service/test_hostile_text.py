"""Text that would act on who reads it, captured wherever a text can be, and read in every way that there is."""

from __future__ import annotations

import contextlib
import csv
import io
import re
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path

import pytest
from served import Served

from contexta_client.cli.main import COMMANDS, root

ESCAPES = "\x1b]0;owned\x07\x1b[31m\x9b2J\r\n\x08\u202e[red]x[/red]"
MARKUP = "</td></script><script>alert(1)</script><img src=x onerror=alert(2)>\" onmouseover='alert(3)'"
HOSTILE = f"=1+2 {ESCAPES} {MARKUP}"
# What a terminal acts on; a new line ends a line of output, and rich needs none of the others.
ACTS = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069]")

READ = [
    ["runs"],
    ["run", "show", "one"],
    ["run", "series", "one", "loss"],
    ["compare", "one", "two"],
    ["compare-multi", "one", "two"],
    ["diagnostics", "one"],
    ["stragglers", "one", "--metric", "loss"],
    ["lineage", "run:demo.one"],
    ["search", "runs", "owned"],
    ["search", "artifacts", "owned"],
    ["trend", "loss"],
    ["aggregate", "loss"],
    ["anomaly", "two"],
    ["alert", "one", "loss<0.9"],
    ["report", "snapshot", "one"],
    ["report", "compare", "one", "two"],
    ["provenance", "audit", "one"],
    ["provenance", "diff", "one", "two"],
    ["artifact", "verify"],
    ["sql", "SELECT * FROM runs"],
    ["sql", "SELECT * FROM events"],
    ["export", "jsonl", "-"],
    ["backup", "create", "--label", "x"],
    ["backup", "list"],
    ["daemon", "status"],
    ["daemon", "logs"],
    ["daemon", "logs", "--sender"],
    ["ui", "--no-open"],
    ["run", "show", HOSTILE],
    ["sql", HOSTILE],
    ["restore", "apply", HOSTILE],
    ["daemon", "stop"],
    ["daemon", "status"],
]


class Page(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.names: set[str] = set()
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.names |= {name for name, _ in attrs}


@pytest.fixture
def hostile(served: Served) -> Served:
    served.path = served.path.with_name(f"ws \x1b[31m{MARKUP.replace('/', '')} \u202e")
    file = served.path.with_name(f"model {HOSTILE.replace('/', '')}")
    file.write_bytes(b"x")
    with served.contexta() as ctx:
        for name in ("one", "two"):
            with pytest.raises(RuntimeError), ctx.run(
                name, tags={"t": HOSTILE}, metadata={HOSTILE: HOSTILE}, code_revision=HOSTILE
            ) as run:
                with run.stage("train", metadata={"m": HOSTILE}) as stage:
                    for step in range(3):
                        stage.metric("loss", 0.5, step=step, unit="\x1b[31m" + MARKUP[:20])
                    stage.event("key", message=HOSTILE, attributes={"a": HOSTILE}, tags={"t": HOSTILE})
                    stage.span("span", attributes={"a": HOSTILE})
                run.register_artifact("model", file, attributes={"a": HOSTILE})
                raise RuntimeError(HOSTILE)
        ctx.list_runs()
    return served


@dataclass
class Done:
    returncode: object
    stdout: str
    stderr: str


def ask(served: Served, *arguments: str) -> Done:
    """Run a command here: a process for each would take long."""
    out, err, code = io.StringIO(newline=""), io.StringIO(newline=""), 0
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            root(["--workspace", str(served.path), *arguments], prog_name="contexta")
        except SystemExit as end:
            code = end.code or 0
    return Done(code, out.getvalue(), err.getvalue())


def test_nothing_that_was_captured_acts_on_a_terminal(hostile: Served, tmp_path: Path) -> None:
    acting = {}
    for arguments in READ:
        if arguments[:2] == ["export", "jsonl"]:
            arguments = ["export", "jsonl", str(tmp_path / "x.jsonl")]
        done = ask(hostile, *arguments)
        assert done.returncode in (0, 1), (arguments, done.stderr)
        found = [line for line in (done.stdout + done.stderr).split("\n") if ACTS.search(line) or "owned\n" in line]
        if found:
            acting[" ".join(arguments)[:40]] = found[:2]
        assert "Traceback" not in done.stderr, done.stderr
    assert acting == {}
    asked = {arguments[0] for arguments in READ}
    assert asked | {"tail", "recover"} == set(COMMANDS)
    each_line_of_a_log_file_is_one_record(hostile)


def test_no_page_has_a_tag_or_an_attribute_and_no_table_a_formula_that_was_captured(
    hostile: Served, tmp_path: Path
) -> None:
    pages = []
    for number, arguments in enumerate((["snapshot", "one"], ["compare", "one", "two"], ["multi", "one", "two"],
                                        ["project", "demo"], ["trend", "loss"])):  # fmt: skip
        pages.append(tmp_path / f"{number}.html")
        assert ask(hostile, "report", *arguments, "--output", str(pages[-1])).returncode == 0
    assert ask(hostile, "ui", "--no-open").returncode == 0
    pages += (hostile.path / "reports" / "ui").iterdir()
    assert len(pages) == 8
    shown = 0
    for page in pages:
        text = page.read_text()
        found = Page(text)
        assert not found.tags & {"script", "img", "iframe", "object", "embed", "base", "form"}, page
        assert not any(name.startswith("on") for name in found.names) and "src" not in found.names, page
        assert "Content-Security-Policy" in text
        shown += "&lt;script&gt;alert(1)" in text
    assert shown >= 4  # it is there, as text
    no_cell_is_a_formula(hostile, tmp_path)


def no_cell_is_a_formula(hostile: Served, tmp_path: Path) -> None:
    file = tmp_path / "report.csv"
    assert ask(hostile, "report", "snapshot", "one", "--output", str(file)).returncode == 0
    events = tmp_path / "events.csv"
    assert ask(hostile, "export", "csv", str(events), "--type", "event", "--run", "one").returncode == 0
    table = ask(hostile, "sql", "--csv", "SELECT reason, tags, '=1' AS \"=2\" FROM runs").stdout
    for text in (file.read_text(), events.read_text(), table):
        cells = [cell for row in csv.reader(io.StringIO(text, newline="")) for cell in row]
        assert any("alert(1)" in cell for cell in cells)
        assert [cell for cell in cells if cell.lstrip(" ").startswith(("=", "+", "@", "\t", "\r"))] == []


def each_line_of_a_log_file_is_one_record(hostile: Served) -> None:
    for name in ("daemon.log", "sender.log"):
        text = (hostile.path / "daemon" / name).read_text()
        assert text and not ACTS.search(text), [line for line in text.split("\n") if ACTS.search(line)][:3]
        assert all(re.match(r"\d{4}-\d\d-\d\d ", line) for line in text.rstrip("\n").split("\n"))
