"""Names and references that would lead out of a folder: refused, or written as what they are, in place."""

from __future__ import annotations

import contextlib
import io
import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from daemon_process import Calls
from logged import entry, run_opened, scope_closed, scope_opened, session_opened
from served import Served

from contexta.errors import ContextaError
from contexta.v1 import capture_pb2 as pb
from contexta_client import launch
from contexta_client.cli.main import root
from contexta_client.cli.reports import _page_name

NAMES = [
    "..", ".", "../../out", "/etc/out", "a/b", "a\\b", "a\0b", "a\nb", " ", "", "~", "-rf", "x" * 5_000, "é" * 300,
    "e\u0301", "\u202egnp", "\ud800", "a.b", "CON", "a:b", "%2e%2e%2f", "*", "$(touch out)", "run:demo.x",
]  # fmt: skip


def names_below(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


def outside(folder: Path) -> set[str]:
    return {name for name in names_below(folder) if not name.startswith(("ws", "spools"))}


def test_no_name_that_is_captured_leads_out_of_the_workspace(served: Served, tmp_path: Path) -> None:
    file = tmp_path / "model.bin"
    file.write_bytes(b"weights")
    ctx = served.contexta(artifacts={"mode": "copy"})
    taken, before, above = 0, outside(tmp_path), set(os.listdir(tmp_path.parent))
    for name in NAMES:
        with contextlib.suppress(ContextaError), ctx.run(name) as run:
            taken += 1
            for part in (run.stage, run.event, run.register_artifact):
                with contextlib.suppress(ContextaError):
                    extra: dict[str, Any] = {"message": name} if part == run.event else {}
                    part(name, *([file] if part == run.register_artifact else []), **extra)
            with contextlib.suppress(ContextaError):
                run.stage("s").metric(name, 1.0)
    for name in NAMES:
        with contextlib.suppress(ContextaError), served.contexta(project_name=name) as other, other.run("r"):
            pass
    assert taken >= 5
    listed = ctx.list_runs()
    assert len(listed) >= taken
    for run in listed:
        folder = tmp_path / "ws" / "out"
        with contextlib.suppress(ContextaError):
            ctx.build_snapshot_report(run.run_id)
        assert not folder.exists()
    command("--workspace", str(served.path), "ui", "--no-open")
    assert len(names_below(served.path / "reports" / "ui")) == len({run.run_id for run in listed}) + 1
    assert (outside(tmp_path), set(os.listdir(tmp_path.parent))) == (before, above)


COMPONENTS = ["../../../out", "..", "/tmp/contexta-out", "demo.a/../../../out", "demo.a\0", "demo.\n", "x" * 4_000, ""]


def test_no_reference_that_a_hostile_log_holds_leads_out_of_the_workspace(served: Served, tmp_path: Path) -> None:
    ctx = served.contexta(artifacts={"mode": "copy"})
    with ctx.run("good"):
        pass
    ctx.list_runs()
    before = outside(tmp_path)
    endpoint = launch.find_daemon(served.path)
    assert endpoint is not None
    with Calls(endpoint.socket, endpoint.token) as calls:
        for component in COMPONENTS:
            for ref in (component, "demo.named"):  # one that is none, and one whose other texts are hostile
                session, entries = os.urandom(16), hostile_entries(ref, component)
                calls.open_session(session)
                calls.append(session, 0, len(entries), pb.Batch(entries=entries).SerializeToString())
                assert calls.settle(session, len(entries)), component
    assert "good" in [run.name for run in ctx.list_runs()]
    at = ("--workspace", str(served.path))
    command(*at, "ui", "--no-open")
    assert (served.path / "reports" / "ui" / "demo.good.html").exists()
    command(*at, "artifact", "verify")
    for component in COMPONENTS:
        command(*at, "artifact", "export", f"artifact:{component}", str(served.path / "exported"))
    assert outside(tmp_path) == before
    assert not Path("/tmp/contexta-out.html").exists() and not Path("/tmp/contexta-out").exists()
    assert [run.pid for run in [launch.find_daemon(served.path)] if run] == [endpoint.pid]  # and it did not fall


@pytest.mark.parametrize("component", COMPONENTS)
def test_the_page_of_a_run_stays_in_its_folder(component: str, tmp_path: Path) -> None:
    name = _page_name(SimpleNamespace(run_id=f"run:{component}"))
    (tmp_path / name).touch()
    assert os.listdir(tmp_path) == [name]
    assert _page_name(SimpleNamespace(run_id="run:demo.Good-1_x")) == "demo.Good-1_x.html"


def hostile_entries(ref: str, component: str) -> list[pb.Entry]:
    opened = run_opened(1)
    opened.scope_opened.ref, opened.scope_opened.name = f"run:{ref}", component
    made = pb.ArtifactRegistered(
        scope_id=1, ref=f"artifact:{ref}", artifact_kind=component, path=f"/{component}", exists=True,
        compute_hash=True,
    )  # fmt: skip
    return [
        session_opened(), opened, scope_opened(2, 1, "stage", f"stage:{ref}.s"),
        entry(artifact_registered=made), scope_closed(2), scope_closed(1),
    ]  # fmt: skip


def command(*arguments: str) -> str:
    out = io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out), contextlib.suppress(SystemExit):
        root(list(arguments), prog_name="contexta")
    assert "Traceback" not in out.getvalue()
    return out.getvalue()
