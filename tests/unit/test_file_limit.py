"""Processes of the background raise their own limit of open files, as far as they may."""

from __future__ import annotations

import subprocess
import sys

import pytest

_PROGRAM = """
import resource, sys
from contexta._file_limit import raise_file_limit
resource.setrlimit(resource.RLIMIT_NOFILE, (int(sys.argv[1]), int(sys.argv[2])))
raise_file_limit()
print(*resource.getrlimit(resource.RLIMIT_NOFILE))
"""


@pytest.mark.parametrize(("soft", "hard"), [(64, 1000), (500, 500)])
def test_the_soft_limit_becomes_the_hard_one(soft: int, hard: int) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM, str(soft), str(hard)], capture_output=True, text=True, check=True, timeout=60
    )
    assert [*map(int, done.stdout.split())] == [hard, hard]
