"""A statement that DuckDB itself would not keep within its memory and its time."""

from __future__ import annotations

import os
import resource
import signal
from pathlib import Path

import anyio
import pytest
from column_files import Bench
from logged import run_opened, session_opened

from contexta.errors import ContextaError, ValidationError
from contexta_daemon.query import thinking
from contexta_daemon.query.sql import run_sql
from contexta_daemon.query.sql_limits import MAX_TEXT_CHARS, ended_by_the_clock, weight
from contexta_daemon.query.thinking import Place, Thinkers

ONE_LONG_CALL = "SELECT levenshtein(repeat('a', 2000000), repeat('b', 2000000))"  # hours, within one function


@pytest.fixture
def store(tmp_path: Path):
    bench = Bench(tmp_path)
    bench.log.add(1, session_opened(), run_opened())
    bench.run()
    yield bench
    bench.close()


def asked(store, text: str, **options):
    return run_sql(text, catalog_path=store.catalog.path, columns_folder=store.folder, **options).rows


@pytest.mark.parametrize(
    "text",
    [
        "SELECT length(repeat('x', 3000000000))",
        "SELECT list_sum(range(3000000000))",
        "SELECT length(string_agg(repeat('x', 1000000), '')) FROM range(4000)",
    ],
)
def test_one_value_cannot_take_all_memory(store, text: str) -> None:
    before = resource.getrlimit(resource.RLIMIT_DATA)
    with pytest.raises(ValidationError, match="more than 1GB of memory"):
        asked(store, text)
    assert resource.getrlimit(resource.RLIMIT_DATA) == before
    assert asked(store, "SELECT 1") == ((1,),)


def test_what_lies_within_a_value_counts_for_the_length_of_an_answer(store) -> None:
    for text in ("SELECT list(repeat('x', 1000)) FROM range(100)", "SELECT {'a': [repeat('x', 100000)]}"):
        with pytest.raises(ValidationError) as caught:
            asked(store, text, max_bytes=50_000)
        assert caught.value.code == "answer_too_long"
    assert weight({"a": ["xyz", 1.5, None]}) == 33


@pytest.mark.parametrize(
    "text",
    ["SELECT " + "+".join("1" * 900), "SELECT " + "(" * 20_000, "SELECT '" + "x" * MAX_TEXT_CHARS + "'"],
)
def test_a_text_that_is_too_deep_or_too_long_is_refused_as_wrong(store, text: str) -> None:
    with pytest.raises(ValidationError) as caught:
        asked(store, text)
    assert caught.value.code == "sql_invalid"


def test_a_statement_that_notices_no_interruption_is_ended_with_its_process(
    store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(thinking, "GRACE_S", 0.2)
    place = Place(str(store.catalog.path), "", str(store.folder), 0, 0, (), str(tmp_path / "daemon" / "sql"))

    async def ask() -> None:
        thinkers = Thinkers()
        with pytest.raises(ContextaError) as caught:
            await thinkers.sql(ONE_LONG_CALL, place, max_rows=10, deadline_s=1.0)
        assert caught.value.code == "deadline_exceeded"
        assert len(await thinkers.sql("SELECT 1", place, max_rows=10, deadline_s=60.0)) == 2

    anyio.run(ask)


def test_a_process_whose_daemon_is_gone_ends_by_the_clock() -> None:
    child = os.fork()
    if child == 0:
        with ended_by_the_clock(0.01):
            signal.pause()
        os._exit(0)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGALRM


def test_in_time_the_clock_is_stopped() -> None:
    before = signal.getsignal(signal.SIGALRM)
    with ended_by_the_clock(3_600):
        assert signal.getitimer(signal.ITIMER_REAL)[0] > 0
    assert signal.getitimer(signal.ITIMER_REAL)[0] == 0.0
    assert signal.getsignal(signal.SIGALRM) == before


def test_what_memory_does_not_hold_lies_where_it_is_told_for_its_owner_alone(store, tmp_path: Path) -> None:
    place = tmp_path / "ws" / "daemon" / "sql"
    (setting,) = asked(store, "SELECT current_setting('temp_directory')", spill_folder=place)
    assert Path(setting[0]).parent == place
    assert place.stat().st_mode & 0o777 == 0o700
    assert list(place.iterdir()) == []
