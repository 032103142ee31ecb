"""The list of seeded bugs fits the product as it is now, and a bug that no test finds is reported."""

import subprocess
import sys
from pathlib import Path

import pytest
from torture.mutation import ROOT, all_mutants

MUTANTS = all_mutants()

RULE = "def allowed(count):\n    return count < 3\n"
TEST = """
from contexta.rule import allowed

def test_nothing_is_allowed():
    assert allowed(0)

def test_three_are_too_many():
    assert not allowed(3)
"""


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_a_seeded_bug_can_be_put_into_the_product_as_it_is(mutant):
    mutant.applied((ROOT / mutant.file).read_text())


@pytest.mark.parametrize("test", sorted({test for mutant in MUTANTS for test in mutant.tests}))
def test_the_tests_that_shall_find_a_seeded_bug_are_there(test):
    path, _, name = test.partition("::")
    assert f"def {name.partition('[')[0]}" in (ROOT / path).read_text()


def test_there_are_at_least_fifty_seeded_bugs():
    assert len(MUTANTS) >= 50


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Return a product of one rule with its tests."""
    for package in ("contexta", "contexta_client", "contexta_daemon"):
        (tmp_path / package).mkdir()
        (tmp_path / package / "__init__.py").touch()
    (tmp_path / "contexta" / "rule.py").write_text(RULE)
    (tmp_path / "tests" / "mutants").mkdir(parents=True)
    (tmp_path / "tests" / "test_rule.py").write_text(TEST)
    return tmp_path


def listed(tree: Path, name: str, old: str, new: str, test: str = "tests/test_rule.py") -> None:
    text = f"[[mutant]]\nname = '{name}'\nkind = 'limit'\nfile = 'contexta/rule.py'\n"
    text += f"old = '{old}'\nnew = '{new}'\ntests = ['{test}']\n"
    (tree / "tests" / "mutants" / f"{name}.toml").write_text(text)


def said_of(tree: Path) -> tuple[int, str]:
    command = [sys.executable, ROOT / "scripts" / "mutants.py", "--jobs=1", f"--tree={tree}"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    return done.returncode, done.stdout


def test_only_what_a_test_finds_is_said_to_be_caught_and_all_else_makes_the_run_fail(tree):
    listed(tree, "three-allowed", "< 3", "<= 3")
    assert said_of(tree)[0] == 0
    listed(tree, "four-allowed", "< 3", "< 3 or count == 4")
    listed(tree, "text-is-gone", "< 5", "<= 5")
    code, said = said_of(tree)
    assert (code, "1 of 3 caught" in said) == (1, True), said
    outcomes = {name.rstrip(":"): outcome for outcome, _, _, name, *_ in map(str.split, said.splitlines()[:3])}
    assert outcomes == {"three-allowed": "caught", "four-allowed": "SURVIVED", "text-is-gone": "STALE"}
    assert "again: python scripts/mutants.py four-allowed text-is-gone" in said
    assert (tree / "contexta" / "rule.py").read_text() == RULE


def test_tests_that_fail_anyway_or_are_gone_catch_nothing(tree):
    (tree / "tests" / "test_rule.py").write_text(TEST.replace("not allowed(3)", "allowed(3)"))
    listed(tree, "four-allowed", "< 3", "< 3 or count == 4")
    listed(tree, "three-allowed", "< 3", "<= 3", "tests/test_rule.py::test_of_old")
    code, said = said_of(tree)
    assert (code, "0 of 2 caught" in said) == (1, True), said
    assert "UNSOUND" in said and "BROKEN" in said
