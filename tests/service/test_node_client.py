"""The example client in Node asks a real daemon."""

import shutil
import subprocess
from pathlib import Path

import pytest
from served import Served

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "node-client"
PROTO = EXAMPLE.parents[1] / "proto"
PIPES = {
    "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True,
    "env": {"PATH": "/usr/local/bin:/usr/bin:/bin", "CONTEXTA_PROTO": str(PROTO)},
}  # fmt: skip


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    if shutil.which("node") is None or shutil.which("npm") is None:
        pytest.skip("node and npm are not installed here")
    folder = tmp_path_factory.mktemp("node-client")
    for name in ("package.json", "client.mjs"):
        shutil.copy(EXAMPLE / name, folder)
    install = ["npm", "install", "--no-audit", "--no-fund", "--no-package-lock"]
    installed = subprocess.run(install, cwd=folder, capture_output=True, text=True, timeout=240)
    if installed.returncode:
        pytest.skip(f"the npm packages cannot be installed here: {installed.stderr.strip()[-200:]}")
    return folder / "client.mjs"


def command(client: Path, served: Served, *arguments: str) -> list[str]:
    return [str(shutil.which("node")), str(client), str(served.path), *arguments]


def ask(client: Path, served: Served, *arguments: str) -> subprocess.CompletedProcess:
    return subprocess.run(command(client, served, *arguments), timeout=60, **PIPES)


def test_node_lists_runs_and_compares_two(client: Path, served: Served) -> None:
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


def test_node_follows_a_run_of_a_process_that_still_captures(client: Path, served: Served) -> None:
    trainer = served.start("""
        with ctx.run("live") as run:
            for step, _ in enumerate(sys.stdin):
                run.metric("loss", step / 2, step=step)
                ctx.flush()
                print("flushed", flush=True)
    """)
    assert trainer.stdin and trainer.stdout
    trainer.stdin.write("\n")
    trainer.stdin.flush()
    trainer.stdout.readline()
    follower = subprocess.Popen(command(client, served, "follow", "live", "--count", "3"), **PIPES)
    try:
        assert follower.stdout.readline().split()[1:] == ["loss", "0"]
        for value in ("0.5", "1"):  # captured only after the one before was read
            trainer.stdin.write("\n")
            trainer.stdin.flush()
            assert follower.stdout.readline().split()[1:] == ["loss", value]
        printed, errors = follower.communicate(timeout=60)
        assert (follower.returncode, printed, errors) == (0, "", "")
    finally:
        follower.kill()
        follower.communicate()
    trainer.communicate(timeout=60)
    assert trainer.returncode == 0


def test_node_says_that_no_daemon_serves_a_folder(client: Path, served: Served) -> None:
    failed = ask(client, served, "runs")
    assert failed.returncode == 1
    assert failed.stderr.startswith(f"contexta: No daemon serves {served.path}.")


def test_node_prints_what_the_daemon_says_of_an_error(client: Path, served: Served) -> None:
    with served.contexta().run("one"):
        pass
    served.contexta().list_runs()
    failed = ask(client, served, "compare", "one", "nobody")
    assert failed.returncode == 1
    assert "There is no run 'nobody'." in failed.stderr and "(not_found)" in failed.stderr
