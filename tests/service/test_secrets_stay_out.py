"""Secrets planted wherever a run looks by itself: none is in any file that comes of it, packed or not."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest
from served import Served
from waiting import wait_until
from workspace_processes import kill_all

from contexta_client.capture import spool_place
from contexta_daemon.log import Log, Position

PROGRAM = """
import os, sys
from contexta import Contexta
workspace = sys.argv[1]
ctx = Contexta(workspace=workspace, config={
    "project_name": "demo", "capture": {"environment_variables": ["MY_TOKEN", "DATABASE_URL", "CUDA_VISIBLE_DEVICES"]},
})
try:
    with ctx.run("r") as run, run.stage("train") as stage:
        stage.metric("loss", 0.5)
        raise ConnectionError("cannot reach postgres://admin:Planted-06@db/x with password=Planted-07")
except ConnectionError:
    pass
try:
    with ctx.run("s"):
        sys.exit("no access with --api-key=Planted-08")
except SystemExit:
    pass
ctx.run("t")
ctx.flush()
print(len(ctx.list_runs()))
raise RuntimeError("Authorization: Bearer Planted-09")
"""
ARGUMENTS = [
    "--api-key=Planted-10", "--token", "Planted-11", "https://me:Planted-12@example.com/x?a=1",
    "trainer.wandb_key=Planted-13", "--header", "X-Api-Key: Planted-14", '--db={"password": "Planted-15"}',
]  # fmt: skip
ENVIRONMENT = {
    "MY_TOKEN": "Planted-01",
    "DATABASE_URL": "postgresql://me:Planted-02@db/x",
    "AWS_SECRET_ACCESS_KEY": "Planted-03",  # not asked for
    "CUDA_VISIBLE_DEVICES": "0",
}
GIT_CONFIG = """
[credential]
\thelper = store --password=Planted-04
[http]
\textraheader = Authorization: Basic Planted-16
[remote "origin"]
\turl = https://me:Planted-05@example.com/org/repo.git
"""
PLANTED = b"Planted-"


def planted(path: Path) -> Iterator[str]:
    """Where a secret is in a file, read as it lies and as what it holds."""
    if path.is_file() and not path.is_symlink():
        data = path.read_bytes()
        if PLANTED in data:
            at = data.index(PLANTED)
            yield f"{path}: {data[max(0, at - 60) : at + 12]!r}"
        if path.suffix == ".parquet":
            rows = duckdb.sql(f"FROM read_parquet('{path}')").fetchall()
            if PLANTED in repr(rows).encode():
                yield f"{path}: {rows}"


def bodies(log: Path) -> list[bytes]:
    opened = Log(log)
    try:
        return [batch.body for batch in opened.read(Position(0, 0), limit_bytes=1 << 30)]
    finally:
        opened.close()


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A folder with a repository whose configuration holds passwords."""
    folder = tmp_path / "project"
    (folder / ".git").mkdir(parents=True)
    (folder / ".git" / "HEAD").write_text("ref: refs/heads/main\n")
    (folder / ".git" / "config").write_text(GIT_CONFIG)
    (folder / ".netrc").write_text("machine example.com login me password Planted-17\n")
    (folder / "train.py").write_text(textwrap.dedent(PROGRAM))
    return folder


def test_no_planted_secret_is_in_any_file_of_a_workspace(served: Served, project: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "train.py", str(served.path), *ARGUMENTS],
        cwd=project,
        env={**os.environ, **ENVIRONMENT},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.stdout, done.returncode) == ("3\n", 1), done.stderr
    served.drained()
    ctx = served.contexta()
    ((variables, command, reasons),) = ctx.sql(
        "SELECT (SELECT any_value(environment_variables) FROM environments), (SELECT any_value(command) FROM "
        "environments), (SELECT list(reason) FROM runs)"
    ).rows
    assert "[redacted]" in str(variables) and "[redacted]" in str(command), (variables, command)
    assert sum("[redacted]" in str(reason) for reason in reasons) == 3, reasons
    exported = tmp_path / "exported"
    exported.mkdir()
    assert ctx.record_store.export_jsonl(exported / "records.jsonl") > 0
    for kind in ("html", "markdown", "json", "csv"):
        document = ctx.build_snapshot_report("r")
        (exported / f"report.{kind}").write_text(getattr(document, f"to_{kind}")())
    ctx.close()
    wait_until(lambda: (served.path / "cache" / "capture" / "record.jsonl").exists())
    roots = [served.path, exported, *spool_place.candidate_roots(served.path)]
    files = [Path(base, name) for root in roots for base, _, names in os.walk(root) for name in names]
    assert any(path.suffix == ".seg" for path in files) and any(path.suffix == ".sqlite3" for path in files)
    assert [found for path in files for found in planted(path)] == []
    kill_all(served.path)
    logged = bodies(served.path / "records" / "log")
    assert any(b"ConnectionError: cannot reach" in body for body in logged)
    assert [body for body in logged if PLANTED in body] == []
