"""One call of a process that changes the disk, broken: the process is killed there, or the call fails or is cut short.

A library (breaking.c) is loaded into the process before all others. It counts the calls on files below some folders,
over all threads and child processes together, so that a site is met whoever comes there; strace counts in each thread.
"""

from __future__ import annotations

import errno
import os
import random
import re
import shutil
import subprocess
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TypeVar

SOURCE = Path(__file__).with_name("breaking.c")
OPEN = "open"  # without O_CREAT: changes nothing, and can only fail
SYNCS = ("fsync", "fdatasync")
WRITES = ("write", "writev", "pwrite", "sendfile", "copy_file_range")
SQLITE = ".sqlite3"
_VARYING = re.compile(r"[0-9a-f]{8,}|(?<![a-zA-Z0-9])\d+|(?<=/)[0-9a-f]{2}(?=/)")


@dataclass(frozen=True, slots=True, order=True)
class Site:
    """The nth time that a call is made on files of one kind; `glob` names them."""

    call: str
    glob: str
    nth: int

    def __str__(self) -> str:
        return f"{self.call} {self.nth} of {self.glob}"


@dataclass(frozen=True, slots=True)
class Call:
    """A call that was seen. `mark` is "-" when it was left alone, else what was done to it."""

    pid: int
    call: str
    inode: int
    mark: str
    glob: str
    path: str


Thing = TypeVar("Thing")
Fault = tuple[Site, str]  # where, and what happens there


def sites_of(calls: Iterable[Call]) -> list[Site]:
    """Return every site that some calls met."""
    met = Counter((each.call, each.glob) for each in calls)
    return sorted(Site(call, glob, nth) for (call, glob), count in met.items() for nth in range(1, count + 1))


def said(fault: Fault) -> str:
    site, how = fault
    return f"{errno.errorcode[int(how)] if how.isdigit() else how} at {site}"


def kind_of(fault: Fault) -> tuple[str, str, str]:
    site, how = fault
    return site.call, site.glob, how


def spread(things: Iterable[Thing], chance: random.Random, kind: Callable[[Thing], object]) -> list[Thing]:
    """Return things in random order, one of each kind before the second of any: who does not come to the end has met
    every kind."""
    shuffled = list(things)
    chance.shuffle(shuffled)
    seen: Counter[object] = Counter()
    ranked = []
    for thing in shuffled:
        ranked.append((seen[kind(thing)], thing))
        seen[kind(thing)] += 1
    return [thing for _, thing in sorted(ranked, key=lambda each: each[0])]


@cache
def library() -> Path | None:
    """Return the library, compiled; None where there is no compiler for it, or none that works."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None or not Path("/proc/self/fd").is_dir():
        return None
    made = Path(tempfile.mkdtemp(prefix="contexta-breaking-")) / "breaking.so"
    command = [compiler, "-O1", "-shared", "-fPIC", str(SOURCE), "-o", str(made), "-ldl", "-lpthread"]
    return made if subprocess.run(command, capture_output=True, check=False).returncode == 0 else None


class Breaking:
    """What the processes of one round share: which call is broken, how often it was met, and all calls in a file."""

    def __init__(self, place: Path, *, role: str, roots: Iterable[Path]) -> None:
        """role: a part of the command line of the processes that count; the others are left alone."""
        self._state, self._trace = place / "breaking.state", place / "breaking.trace"
        self._state.write_bytes(bytes(4096))
        self._trace.unlink(missing_ok=True)
        self._role = role
        self._roots = [str(root) for root in roots]

    def environment(self, site: Site | None = None, how: str = "", *, times: int = 1) -> dict[str, str]:
        """Return the environment of a process to be broken.

        how: "kill", "kill-all" (its relatives too), "torn" (killed with half of it written), "short" (half of it is
        written, and said so), or the number of an error. times: so many calls, from the site on.
        """
        found = library()
        assert found is not None
        chosen = {
            "LD_PRELOAD": str(found),
            "BREAKING_ROLE": self._role,
            "BREAKING_ROOTS": ":".join(self._roots),
            "BREAKING_STATE": str(self._state),
            "BREAKING_TRACE": str(self._trace),
        }
        if site is not None:
            chosen |= {"BREAKING_CALL": site.call, "BREAKING_GLOB": site.glob, "BREAKING_NTH": str(site.nth)}
            chosen |= {"BREAKING_TIMES": str(times), "BREAKING_HOW": how}
        return {**os.environ, **chosen}

    @property
    def broken(self) -> int:
        """The process that was broken, 0: the site was not met."""
        return int.from_bytes(self._state.read_bytes()[8:16], "little")

    def calls(self) -> list[Call]:
        """Return all calls so far, in about their order."""
        if not self._trace.exists():
            return []
        found = []
        for line in self._trace.read_text(errors="replace").splitlines():
            pid, call, inode, mark, path = line.split(" ", 4)
            found.append(Call(int(pid), call, int(inode), mark, self._glob(path), path))
        return found

    def _glob(self, path: str) -> str:
        """Return the pattern of a path, in which what differs from round to round is left open."""
        for root in self._roots:
            if path.startswith(root):
                return f"*/{Path(root).name}{_VARYING.sub('*', path[len(root) :])}"
        return path

    def sites(self) -> list[Site]:
        """Return every site that was met."""
        return sites_of(self.calls())

    def retried(self) -> list[str]:
        """Return the files that were written or synced again after a sync on them had failed. An interrupted one has
        not failed; a folder is synced for each name in it, and each is another promise. SQLite's files are its own:
        what it syncs again it has written again, and a catalog can be made again."""
        failed: set[int] = set()
        found = []
        for each in [each for each in self.calls() if SQLITE not in each.path]:
            if each.call in SYNCS and each.mark.isdigit() and int(each.mark) != errno.EINTR:
                failed |= set() if Path(each.path).is_dir() else {each.inode}
            elif each.call in ("unlink", "rename"):
                failed.discard(each.inode)  # of the file that is gone; another may get its number
            elif each.inode in failed and each.mark == "-" and each.call in (*SYNCS, *WRITES):
                found.append(f"{each.call} of {each.path} after its sync failed")
        return sorted(set(found))
