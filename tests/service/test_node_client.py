"""The example client in Node asks a real daemon."""

import shutil
import subprocess
from pathlib import Path

import pytest
from served import Served

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "node-client"
PROTO = EXAMPLE.parents[1] / "proto"


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    if shutil.which("node") is None or shutil.which("npm") is None:
        pytest.skip("node and npm are not installed here")
    folder = tmp_path_factory.mktemp("node-client")
    for name in ("package.json", "client.mjs"):
        shutil.copy(EXAMPLE / name, folder)
    command = ["npm", "install", "--no-audit", "--no-fund", "--no-package-lock"]
    installed = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=240)
    if installed.returncode:
        pytest.skip(f"the npm packages cannot be installed here: {installed.stderr.strip()[-200:]}")
    return folder / "client.mjs"


def ask(client: Path, served: Served, *arguments: str) -> subprocess.CompletedProcess:
    environment = {"PATH": "/usr/local/bin:/usr/bin:/bin", "CONTEXTA_PROTO": str(PROTO)}
    return subprocess.run(
        [shutil.which("node"), client, served.path, *arguments], capture_output=True, text=True, timeout=60,
        env=environment,
    )  # fmt: skip


def test_node_lists_runs_compares_two_and_follows_a_live_one(client: Path, served: Served) -> None:
    ctx = served.contexta()
    for name, accuracy in (("one", 0.5), ("two", 0.75)):
        with ctx.run(name) as run, run.stage("train") as stage:
            stage.metric("accuracy", accuracy)
    listed = ask(client, served, "runs")
    assert listed.returncode == 0, listed.stderr
    assert [line.split()[:2] for line in listed.stdout.splitlines()[1:]] == [
        ["run:demo.one", "completed"], ["run:demo.two", "completed"],
    ]  # fmt: skip
    compared = ask(client, served, "compare", "one", "two")
    assert compared.returncode == 0, compared.stderr
    assert compared.stdout.splitlines()[-1].split() == ["train", "accuracy", "0.500000", "0.750000", "0.250000"]

    live = ctx.run("live")
    for step in range(5):
        live.metric("loss", float(step), step=step)
    ctx.flush()
    followed = ask(client, served, "follow", "live", "5")
    assert [line.split()[1:] for line in followed.stdout.splitlines()] == [["loss", str(step)] for step in range(5)]
    live.close()


def test_node_prints_what_the_daemon_says_of_an_error(client: Path, served: Served) -> None:
    with served.contexta().run("one"):
        pass
    served.contexta().list_runs()
    failed = ask(client, served, "compare", "one", "nobody")
    assert failed.returncode == 1
    assert "There is no run 'nobody'." in failed.stderr and "(not_found)" in failed.stderr
