"""The examples that the command line shows work: each is run as it stands, on runs of these names."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner
from served import Served

from contexta_client.cli.main import root

ROOT = Path(__file__).resolve().parents[2]
RUNS = {
    "iris-svm": ["linear-svm", "rbf-svm"],
    "iris": ["v1", "v2", "v3"],
    "churn": ["v5", "v6"],
    "nights": ["nightly", "nightly-0412", "ddp", "ddp-run"],
    "wine": ["baseline", "tuned"],
}
# What never ends, opens a browser, writes outside of the test, or names what only its user has.
NOT_RUN = re.compile(
    r"tail|logs -f|ui$|daemon (start|install$)|/mnt/safe|my_package|restore apply|create, restore|--workspace|-1a2b"
)


def shown(command: click.Command) -> Iterator[str]:
    yield from re.findall(r"^ +(contexta .*)$", command.epilog or "", re.MULTILINE)
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            inner = command.get_command(context, name)
            assert inner is not None
            yield from shown(inner)


def in_the_readme() -> Iterator[str]:
    (block,) = re.findall(r"## Command line\n\n```\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    for line in block.splitlines():
        yield from map(str.strip, re.split(r"\s(?=contexta )", line))


def in_the_sql_page() -> list[str]:
    (block,) = re.findall(r"```sql\n(.*?)```", (ROOT / "docs" / "sql.md").read_text(), re.DOTALL)
    return [each for each in block.split(";") if each.strip()]


def words_of(example: str) -> list[str]:
    """The words behind `contexta`, without what a shell makes of the rest."""
    return shlex.split(re.split(r" [|<>] ", example)[0])[1:]


@pytest.fixture
def workspace(served: Served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for project, names in RUNS.items():
        with served.contexta(project_name=project) as ctx:
            for name in names:
                with ctx.run(name, tags={"kind": "svm"}, dataset_ref="dataset:sales.2026-01") as run:
                    with run.stage("train") as stage:
                        for step in range(5):
                            stage.log({"loss": 1.0, "train/loss": 1.0, "step_time": 0.1}, step=step)
                    with run.stage("evaluate") as stage:
                        stage.log({"accuracy": 0.95, "auc": 0.9})
    monkeypatch.chdir(tmp_path)
    (tmp_path / "model.pkl").write_bytes(b"weights")
    return served.path


def test_every_example_works(workspace: Path) -> None:
    examples = [each for each in dict.fromkeys([*shown(root), *in_the_readme()]) if not NOT_RUN.search(each)]
    assert len(examples) > 50
    statements = in_the_sql_page()
    asked = [(words_of(example), statements[0]) for example in examples]
    for words, given in [*asked, *((["sql"], statement) for statement in statements)]:
        done = CliRunner().invoke(root, ["--workspace", str(workspace), *words], input=given)
        assert done.exit_code == 0, (words, done.output, done.exception)
