"""When freed memory is given back to the system, and that it is."""

from __future__ import annotations

import gc
import platform
import subprocess
import sys
import weakref
from pathlib import Path
from types import SimpleNamespace

import pytest

from contexta_daemon import freed_memory
from contexta_daemon.freed_memory import EVERY_S, GROWN_BYTES, SELDOM_S, FreedMemory


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> dict[str, float]:
    state = {"has": 100 << 20, "now": 1_000.0, "after": 100 << 20, "trims": 0}
    monkeypatch.setattr(freed_memory, "resident_bytes", lambda: state["has"])
    monkeypatch.setattr(freed_memory.time, "monotonic", lambda: state["now"])
    return state


def test_it_is_done_when_the_process_has_grown_and_not_too_often(machine: dict[str, float]) -> None:
    freed = FreedMemory()

    def trim(pad: int) -> None:
        machine["trims"] += 1
        machine["has"] = machine["after"]

    freed._trim = trim
    assert not freed.look()
    machine["has"] += GROWN_BYTES
    assert freed.look() and machine["trims"] == 1
    machine["has"] += GROWN_BYTES
    assert not freed.look()  # just now
    machine["now"] += EVERY_S
    machine["after"] = machine["has"]  # all of it is in use
    assert freed.look()
    machine["now"] += EVERY_S
    assert not freed.look()  # nothing came of it: less often now
    machine["now"] += EVERY_S
    machine["after"] = 100 << 20  # it was given up meanwhile, and is free
    assert freed.look() and machine["has"] == 100 << 20
    machine["now"] += EVERY_S
    assert not freed.look()  # as small as ever
    machine["has"] += GROWN_BYTES
    assert freed.look() and machine["trims"] == 4


def test_what_stays_in_use_is_looked_at_once_a_minute(
    machine: dict[str, float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(freed_memory, "gc", SimpleNamespace(collect=lambda: None))  # half a second, among all tests
    freed = FreedMemory()
    freed._trim = lambda pad: machine.update(trims=machine["trims"] + 1)
    machine["has"] += GROWN_BYTES
    for _ in range(3_600):
        freed.look()
        machine["now"] += 1
    assert 3_600 / SELDOM_S <= machine["trims"] <= 3_600 / SELDOM_S + 4


def test_where_the_system_does_not_tell_nothing_is_done(machine: dict[str, float]) -> None:
    freed = FreedMemory()
    machine["has"] = 0
    assert not freed.look()
    freed._trim = None
    machine["has"] = 1 << 40
    assert not freed.look()


def test_this_process_has_some_memory() -> None:
    assert freed_memory.resident_bytes() > 1 << 20


MANY_THREADS = """
import sys, threading
from contexta_daemon import freed_memory
if sys.argv[1] == "shared":
    freed_memory.share_one_arena()
libc = freed_memory.ctypes.CDLL(None)
libc.fopen.restype = freed_memory.ctypes.c_void_p
together = threading.Barrier(8)

def allocate():
    libc.malloc(1_000)  # never freed, and never used
    together.wait()

threads = [threading.Thread(target=allocate) for _ in range(8)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
out = freed_memory.ctypes.c_void_p(libc.fopen(sys.argv[2].encode(), b"w"))
libc.malloc_info(0, out)
libc.fclose(out)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="arenas are glibc's")
def test_all_threads_allocate_from_one_arena(tmp_path: Path) -> None:
    arenas = {}
    for way in ("shared", "own"):
        told = tmp_path / way
        subprocess.run([sys.executable, "-c", MANY_THREADS, way, str(told)], check=True, timeout=60)
        arenas[way] = told.read_text().count("<heap nr=")
    assert arenas["shared"] == 1 < arenas["own"]


def test_circles_of_references_are_collected_first(machine: dict[str, float]) -> None:
    class Body:
        pass

    body = Body()
    body.itself = body  # type: ignore[attr-defined]
    gone = weakref.ref(body)
    freed = FreedMemory()
    freed._trim = lambda pad: machine.update(trims=machine["trims"] + (gone() is None))
    machine["has"] += GROWN_BYTES
    gc.disable()
    try:
        del body
        assert gone() is not None
        assert freed.look() and machine["trims"] == 1
    finally:
        gc.enable()
