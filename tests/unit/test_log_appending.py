"""What the log does with appends, segments, sessions and a disk that refuses."""

from __future__ import annotations

import errno
import threading
from pathlib import Path

import pytest
from breakable_files import BreakableFiles
from log_writing import ALL, BEGINNING, Notebook, body_of, make_batch, open_log, session

from contexta_daemon.log import Envelope, Log, LogClosedError, LogIOError, LogReader, Position, SessionState, pack_body
from contexta_daemon.log.files import RealFiles
from contexta_daemon.log.sessions import MAX_CLOSED, MAX_OPEN, SessionTable

DAY_NS = 86_400 * 10**9


def bodies(log: Log | LogReader, start: Position = BEGINNING, **more: object) -> list[bytes]:
    return [batch.body for batch in log.read(start, limit_bytes=ALL, **more)]


def test_opening_and_reading_an_empty_log_makes_nothing(tmp_path: Path) -> None:
    log = Log(tmp_path / "log")
    assert log.committed == BEGINNING and bodies(log) == [] and log.bytes == log.segments == 0
    assert log.read_some(BEGINNING, limit_bytes=1) == ([], BEGINNING)
    log.close()
    assert list(tmp_path.iterdir()) == []


def test_what_it_makes_is_its_owners_alone(tmp_path: Path) -> None:
    log = Log(tmp_path / "records" / "log")
    Notebook().append(log, [session(1)])
    assert (tmp_path / "records").stat().st_mode & 0o777 == 0o700
    assert next((tmp_path / "records" / "log").glob("*.seg")).stat().st_mode & 0o777 == 0o600


def test_one_group_is_one_write_and_one_sync(tmp_path: Path) -> None:
    files = BreakableFiles()
    log = Log(tmp_path / "log", files=files)
    Notebook().append(log, [session(1)])
    files.calls.clear()
    Notebook().append(log, [session(2), session(3), session(4)])
    assert files.calls == ["write", "sync"]
    log.append([make_batch(session(1), 3)], sync=False)
    assert files.calls[2:] == ["write"]
    log.sync()
    log.sync()
    assert files.calls[3:] == ["sync"]


def test_reading_goes_in_steps_and_on_across_segments(tmp_path: Path) -> None:
    log, notebook = open_log(tmp_path / "log", RealFiles(), segment_bytes=600), Notebook()
    for _ in range(12):
        notebook.append(log, [session(1), session(2)], size=100)
    assert log.segments > 3
    position, steps = BEGINNING, []
    while position < log.committed:
        batches, position = log.read_some(position, limit_bytes=250)
        steps.append([batch.envelope for batch in batches])
    assert [len(step) for step in steps] == [3] * 8
    whole = [batch.envelope for batch in log.read(BEGINNING, limit_bytes=ALL)]
    assert [envelope for step in steps for envelope in step] == whole
    assert log.bytes_from(BEGINNING) == log.bytes and log.bytes_from(log.committed) == 0


def test_a_step_that_ends_just_at_its_limit_is_gone_on_behind(tmp_path: Path) -> None:
    log, notebook = open_log(tmp_path / "log", RealFiles(), segment_bytes=600), Notebook()
    for _ in range(6):
        notebook.append(log, [session(1), session(2)], size=100)
    for limit in (100, 200, 300, 400):
        position, found = BEGINNING, 0
        while position < log.committed:
            batches, position = log.read_some(position, limit_bytes=limit)
            found += len(batches)
        assert found == 12, limit


def test_a_reader_of_another_process_reads_up_to_where_it_is_told(tmp_path: Path) -> None:
    log, notebook = open_log(tmp_path / "log", RealFiles(), segment_bytes=600), Notebook()
    reader = LogReader(tmp_path / "log")
    for count in range(1, 8):
        notebook.append(log, [session(1)], size=200)
        assert len(bodies(reader, end=log.committed)) == count
    middle = list(log.read(BEGINNING, limit_bytes=ALL))[3]
    assert len(bodies(reader, end=middle.end)) == 4
    assert bodies(reader, middle.position, end=middle.end) == [middle.body]


def test_reading_beside_the_writer_sees_whole_groups_in_order(tmp_path: Path) -> None:
    log, notebook, seen = open_log(tmp_path / "log", RealFiles(), segment_bytes=5_000), Notebook(), []
    done = threading.Event()

    def read() -> None:
        position = BEGINNING
        while not (done.is_set() and position >= log.committed):
            batches, position = log.read_some(position, limit_bytes=1_000)
            seen.extend(batch.envelope.first_sequence for batch in batches)

    reader = threading.Thread(target=read)
    reader.start()
    for _ in range(200):
        notebook.append(log, [session(1)])
    done.set()
    reader.join()
    assert seen == list(range(0, 600, 3))


def test_segments_dropped_from_the_front_are_not_missed(tmp_path: Path) -> None:
    log, notebook = open_log(tmp_path / "log", RealFiles(), segment_bytes=600), Notebook()
    for _ in range(10):
        notebook.append(log, [session(1)], size=200)
    log.close()
    first, second, *_ = sorted((tmp_path / "log").glob("*.seg"))
    first.unlink()
    second.unlink()
    log = open_log(tmp_path / "log", RealFiles())
    sequences = [batch.envelope.first_sequence for batch in log.read(BEGINNING, limit_bytes=ALL)]
    assert sequences == list(range(sequences[0], 30, 3)) and sequences[0] > 0
    assert log.sessions.get(session(1)) is not None and log.recovery_notes == ()


def test_a_refused_append_changes_nothing_and_may_come_again(tmp_path: Path) -> None:
    files = BreakableFiles()
    log, notebook = open_log(tmp_path / "log", files, segment_bytes=1 << 20), Notebook()
    notebook.append(log, [session(1)])
    before = log.committed
    files.break_at, files.how = len(files.calls), errno.ENOSPC
    with pytest.raises(LogIOError) as refused:
        notebook.append(log, [session(1), session(2)])
    assert refused.value.errno == errno.ENOSPC and refused.value.segment == 1 and refused.value.retryable
    assert log.committed == before and log.sessions.get(session(2)) is None
    notebook.append(log, [session(1), session(2)])
    notebook.check(log)


def test_leftovers_of_a_failed_write_are_void_even_where_they_cannot_be_cut(tmp_path: Path) -> None:
    class NoCutting(BreakableFiles):
        def truncate(self, path: Path, size: int) -> None:
            raise OSError(errno.EROFS, "read-only")

    files = NoCutting()
    log, notebook = open_log(tmp_path / "log", files, segment_bytes=1 << 20), Notebook()
    notebook.append(log, [session(1)])
    files.break_at, files.how = len(files.calls) + 1, errno.EIO  # the sync: whole frames are in the file
    with pytest.raises(LogIOError):
        notebook.append(log, [session(1)])
    notebook.append(log, [session(1)])
    notebook.check(log)
    notebook.check(open_log(tmp_path / "log", RealFiles()))
    assert log.bytes < sum(path.stat().st_size for path in (tmp_path / "log").glob("*.seg"))


def test_a_torn_tail_counts_for_nothing_even_where_it_cannot_be_cut(tmp_path: Path) -> None:
    class NoCutting(RealFiles):
        def truncate(self, path: Path, size: int) -> None:
            raise OSError(errno.EROFS, "read-only")

    notebook = Notebook()
    notebook.append(open_log(tmp_path / "log", RealFiles()), [session(1)])
    with next((tmp_path / "log").glob("*.seg")).open("ab") as file:
        file.write(b"torn" * 9)
    log = open_log(tmp_path / "log", NoCutting())
    assert "torn tail of 36 bytes" in log.recovery_notes[0] and "could not be cut" in log.recovery_notes[1]
    notebook.append(log, [session(1)])
    notebook.check(log)
    assert log.damaged_frames == 0
    assert next((tmp_path / "log" / "damaged").glob("*.bytes")).read_bytes() == b"torn" * 9


def test_a_damaged_body_says_whose_items_are_lost_and_the_session_goes_on_behind_them(tmp_path: Path) -> None:
    log, notebook = open_log(tmp_path / "log", RealFiles(), segment_bytes=1 << 20), Notebook()
    notebook.append(log, [session(1)], size=500)
    notebook.append(log, [session(2)])
    path = next((tmp_path / "log").glob("*.seg"))
    data = bytearray(path.read_bytes())
    data[data.index(body_of(session(1), 0)[:8])] ^= 4
    path.write_bytes(data)
    log = open_log(tmp_path / "log", RealFiles())
    (note,) = log.recovery_notes
    assert f"items 0 to 2 of session {session(1).hex()} are lost" in note and log.damaged_frames == 1
    assert (state := log.sessions.get(session(1))) is not None and state.next_sequence == 3
    assert bodies(log) == [body_of(session(2), 0)]
    assert path.read_bytes() == data  # what is sealed never changes
    (kept,) = (tmp_path / "log" / "damaged").glob("*.bytes")
    assert kept.read_bytes() in bytes(data)


def test_torn_tails_that_are_kept_are_bounded_in_number(tmp_path: Path) -> None:
    for _ in range(70):
        Notebook().append(open_log(tmp_path / "log", RealFiles()), [session(1)])
        with max((tmp_path / "log").glob("*.seg")).open("ab") as file:
            file.write(b"torn")
    assert len(list((tmp_path / "log" / "damaged").iterdir())) <= 128


def test_a_segment_that_says_to_be_another_is_not_read(tmp_path: Path) -> None:
    log, notebook = open_log(tmp_path / "log", RealFiles()), Notebook()
    notebook.append(log, [session(1)])
    log.close()
    (path,) = (tmp_path / "log").glob("*.seg")
    path.rename(path.with_name("0000000009.seg"))
    log = open_log(tmp_path / "log", RealFiles())
    assert bodies(log) == [] and "cannot be read" in log.recovery_notes[0]


def test_what_lies_before_a_segment_that_is_missing_is_read_and_the_gap_is_told(tmp_path: Path) -> None:
    log, notebook = open_log(tmp_path / "log", RealFiles(), segment_bytes=600), Notebook()
    for _ in range(12):
        notebook.append(log, [session(1)], size=100)
    log.close()
    every = list(open_log(tmp_path / "log", RealFiles()).read(BEGINNING, limit_bytes=ALL))
    (tmp_path / "log" / "0000000003.seg").unlink()
    (tmp_path / "log" / "0000000002.seg").unlink()
    left = [batch for batch in every if batch.position.segment not in (2, 3)]
    assert {batch.position.segment for batch in left} == {1, 4}
    log = open_log(tmp_path / "log", RealFiles())
    assert list(log.read(BEGINNING, limit_bytes=ALL)) == left
    assert list(LogReader(tmp_path / "log").read(BEGINNING, end=log.committed, limit_bytes=ALL)) == left
    assert log.recovery_notes == ("segment 3 is missing, and what it held is lost",) and log.damaged_frames == 1
    assert log.sessions.get(session(1)) == SessionState(36, b"at 36", False, 1_000_033)
    Notebook().append(log, [session(2)])
    assert bodies(open_log(tmp_path / "log", RealFiles())) == [*[batch.body for batch in left], body_of(session(2), 0)]


def test_a_closed_log_takes_nothing(tmp_path: Path) -> None:
    log = open_log(tmp_path / "log", RealFiles())
    log.close()
    log.close()
    for call in (lambda: log.append([]), log.sync, log.probe):
        with pytest.raises(LogClosedError):
            call()


def test_a_recovery_of_many_segments_reads_the_last_one_only(tmp_path: Path) -> None:
    log, notebook = open_log(tmp_path / "log", RealFiles(), segment_bytes=3_000), Notebook()
    for _ in range(100):
        notebook.append(log, [session(1), session(2)], size=300)
    assert log.segments > 10
    files = BreakableFiles()
    again = open_log(tmp_path / "log", files)
    assert files.calls.count("pread") < log.segments + 10  # a header of each, and the frames of the last
    notebook.check(again)


def test_sessions_are_forgotten_by_age_and_number() -> None:
    table = SessionTable()
    for number in range(MAX_CLOSED + MAX_OPEN):
        session_id = number.to_bytes(16, "little")
        table.applied(Envelope(session_id, 0, 1, b"", DAY_NS * 100 + number))
        if number < MAX_CLOSED:
            table.closed(session_id, DAY_NS * 100 + number)
    assert len(table.checkpoint(DAY_NS * 100)) == MAX_CLOSED + MAX_OPEN
    table.applied(Envelope(b"n" * 16, 0, 1, b"", DAY_NS * 101))
    kept = dict(table.checkpoint(DAY_NS * 101))
    assert len(kept) == MAX_CLOSED + MAX_OPEN and b"n" * 16 in kept
    assert {state.closed for state in dict(table.checkpoint(DAY_NS * 108)).values()} == {False}
    assert list(SessionTable(dict(table.items())).checkpoint(DAY_NS * 200)) == []


def test_a_session_that_is_written_to_is_not_forgotten_when_the_clock_is_set_forward(tmp_path: Path) -> None:
    now = [60 * 10**9]  # a machine without a battery begins in 1970
    log = Log(tmp_path / "log", segment_bytes=600, clock_ns=lambda: now[0])
    Notebook().append(log, [session(1), session(2), session(3)])
    log.append([], closing=[session(2)])
    now[0] = 20_000 * DAY_NS
    notebook = Notebook()
    for _ in range(20):
        notebook.append(log, [session(4)], size=100)
    assert log.segments > 3
    for each in (log, open_log(tmp_path / "log", RealFiles())):
        assert [number for number in range(1, 5) if each.sessions.get(session(number))] == [1, 3, 4]


def test_sessions_stay_bounded_between_checkpoints() -> None:
    table = SessionTable()
    for number in range(2 * (MAX_OPEN + MAX_CLOSED) + 10):
        table.applied(Envelope(number.to_bytes(16, "little"), 0, 1, b"", number))
    assert len(table) <= MAX_OPEN + 10


def test_a_cursor_and_a_closing_survive_reopening(tmp_path: Path) -> None:
    log = open_log(tmp_path / "log", RealFiles())
    log.append([(Envelope(session(1), 0, 2, b"c" * 4096, 9), pack_body(b"", level=1)), make_batch(session(2), 0)])
    log.append([], closing=[session(2)])
    for _ in range(3):
        log = open_log(tmp_path / "log", RealFiles())
        assert log.sessions.get(session(1)) == SessionState(2, b"c" * 4096, False, 9)
        assert log.sessions.get(session(2)) == SessionState(3, b"", True, 2_000_000)
        log.probe()
