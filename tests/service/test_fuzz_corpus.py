"""What fuzzing begins with and has found, and a few changes of each: the long form is tests/torture/fuzz.py."""

from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path

import fuzzing
import pytest

SOME = {"payload": 300, "cursor": 300, "config": 40, "segment": 15, "frames": 15, "spool": 30, "package": 15,
        "backup": 15, "batch": 40, "rpc": 200}  # fmt: skip


@pytest.mark.parametrize("name", fuzzing.TARGETS)
def test_no_input_is_a_fault_of_who_reads_it(name: str) -> None:
    found = fuzzing.fuzz(name, random.Random(name), runs=SOME[name])
    assert not found.failed, "\n".join(what for _, what in found.failed.values())
    assert 0 < found.taken < found.runs


def test_the_corpus_is_what_its_script_makes(tmp_path: Path) -> None:
    script = Path(__file__).parents[2] / "scripts" / "make_corpus.py"
    subprocess.run([sys.executable, script, tmp_path], check=True, timeout=60)
    for folder in (fuzzing.CORPUS, tmp_path):
        assert (folder / "rpc").is_dir()
    made, kept = ({path.relative_to(top): path.read_bytes() for path in top.rglob("*") if path.is_file()}
                  for top in (tmp_path, fuzzing.CORPUS))  # fmt: skip
    assert made == kept
