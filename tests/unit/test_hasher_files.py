import hashlib
import os
import threading

import pytest

from contexta_daemon.artifacts import hashing
from contexta_daemon.artifacts.hashing import Fingerprint, hash_artifact


@pytest.fixture(autouse=True)
def small_reads(monkeypatch):
    monkeypatch.setattr(hashing, "READ_BYTES", 4096)


def registered(path):
    return Fingerprint.of(path.stat())


def sha(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


@pytest.mark.parametrize("size", [0, 1, 4095, 4096, 4097, 50_000])
@pytest.mark.parametrize("copied", [False, True])
def test_a_file_of_any_size_has_the_hash_of_its_bytes(tmp_path, size, copied):
    path, store = tmp_path / "f", tmp_path / "objects"
    path.write_bytes(data := os.urandom(size))
    result = hash_artifact(path, registered(path), store=store if copied else None)
    assert (result.hash_value, result.size_bytes, result.problem) == (sha(data), size, "")
    if copied:
        digest = hashlib.sha256(data).hexdigest()
        assert result.stored_path == str(store / digest[:2] / digest[2:])
        assert (store / digest[:2] / digest[2:]).read_bytes() == data
        assert [each for each in store.iterdir() if each.name.startswith(".")] == []


def test_storing_the_same_bytes_twice_keeps_one_copy(tmp_path):
    results = set()
    for name in "ab":
        path = tmp_path / name
        path.write_bytes(b"same")
        results.add(hash_artifact(path, registered(path), store=tmp_path / "objects").stored_path)
    assert len(results) == 1


def test_a_file_that_is_not_the_registered_one_is_said_to_be_changed_with_the_hash_of_what_it_is(tmp_path):
    path = tmp_path / "f"
    path.write_bytes(b"old")
    before = registered(path)
    path.write_bytes(b"newer")
    result = hash_artifact(path, before)
    assert (result.problem, result.hash_value, result.size_bytes) == ("changed", sha(b"newer"), 5)
    assert "3 bytes" in result.detail and "5" in result.detail


def test_a_file_replaced_by_one_of_equal_size_and_time_is_said_to_be_changed(tmp_path):
    path, other = tmp_path / "f", tmp_path / "g"
    path.write_bytes(b"one")
    before = registered(path)
    other.write_bytes(b"two")
    os.utime(other, ns=(before.modified_ns, before.modified_ns))
    other.replace(path)
    assert hash_artifact(path, before).problem == "changed"


@pytest.mark.parametrize("copied", [False, True])
def test_a_file_that_is_written_while_it_is_read_has_no_hash(tmp_path, monkeypatch, copied):
    path = tmp_path / "f"
    path.write_bytes(b"x" * 20_000)
    before = registered(path)
    real = hashlib.sha256

    def writing(*args):
        with path.open("ab") as file:  # between the two looks at the file
            file.write(b"more")
        return real(*args)

    monkeypatch.setattr(hashing.hashlib, "sha256", writing)
    result = hash_artifact(path, before, store=tmp_path / "objects" if copied else None)
    assert (result.problem, result.hash_value) == ("changed", "")


def test_a_file_that_is_replaced_while_it_is_read_has_the_hash_of_the_one_that_lies_there_now(tmp_path, monkeypatch):
    path, other = tmp_path / "f", tmp_path / "g"
    path.write_bytes(b"old")
    other.write_bytes(b"newer")
    before = registered(path)
    real = hashlib.sha256

    def replacing(*args):
        if other.exists():
            other.replace(path)
        return real(*args)

    monkeypatch.setattr(hashing.hashlib, "sha256", replacing)
    result = hash_artifact(path, before)
    assert (result.problem, result.hash_value) == ("changed", sha(b"newer"))


@pytest.mark.parametrize(("linked", "inner"), [("f", ""), ("", "f")], ids=["to the file", "to its folder"])
def test_a_link_that_leads_elsewhere_meanwhile_has_the_hash_of_where_it_leads_now(tmp_path, monkeypatch, linked, inner):
    for name, content in (("one", b"old"), ("two", b"newer")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "f").write_bytes(content)
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "one" / linked)
    before = registered(link / inner)
    real = hashlib.sha256

    def leading_elsewhere(*args):  # the file that is read is not touched at all
        link.unlink()
        link.symlink_to(tmp_path / "two" / linked)
        return real(*args)

    monkeypatch.setattr(hashing.hashlib, "sha256", leading_elsewhere)
    result = hash_artifact(link / inner, before)
    assert (result.problem, result.hash_value) == ("changed", sha(b"newer"))


@pytest.mark.parametrize("copied", [False, True])
def test_a_file_whose_time_is_set_back_after_a_write_has_no_hash(tmp_path, monkeypatch, copied):
    path = tmp_path / "f"
    path.write_bytes(b"x" * 20_000)
    before = registered(path)
    real = hashlib.sha256

    def writing(*args):
        with path.open("r+b") as file:  # as many bytes as before
            file.write(b"other")
        os.utime(path, ns=(before.modified_ns, before.modified_ns))
        return real(*args)

    monkeypatch.setattr(hashing.hashlib, "sha256", writing)
    assert registered(path) == before
    result = hash_artifact(path, before, store=tmp_path / "objects" if copied else None)
    assert (result.problem, result.hash_value) == ("changed", "")


@pytest.mark.parametrize("what", ["a file that was read already", "a new file", "a file that goes", "a renamed file"])
def test_a_folder_in_which_anything_changes_while_it_is_read_has_no_hash(tmp_path, monkeypatch, what):
    folder = tmp_path / "d"
    folder.mkdir()
    for name in ("a", "b", "c"):
        (folder / name).write_bytes(b"1")
    before, real, turns = registered(folder), hashing._digest, []

    def digest(source, ending):
        turns.append(source)
        if len(turns) % 3 == 2:  # the second file is read
            if what == "a new file":
                (folder / f"new{len(turns)}").write_bytes(b"1")
            elif what == "a file that was read already":
                (folder / "a").write_bytes(b"2")
            elif what == "a file that goes" and (folder / "c").exists():
                (folder / "c").rename(tmp_path / "c")
            else:
                left = sorted(folder.iterdir())[-1]
                left.rename(folder / f"z{len(turns)}")
        return real(source, ending)

    monkeypatch.setattr(hashing, "_digest", digest)
    result = hash_artifact(folder, before)
    assert result.hash_value == "" and result.problem in ("changed", "missing")


def test_a_missing_file_and_one_that_may_not_be_read_are_told_apart(tmp_path):
    assert hash_artifact(tmp_path / "gone", Fingerprint(0, 0, 0)).problem == "missing"
    fifo = tmp_path / "pipe"
    os.mkfifo(fifo)
    assert hash_artifact(fifo, registered(fifo)).problem == "unreadable"
    assert hash_artifact(tmp_path / ("x" * 300), Fingerprint(0, 0, 0)).problem == "unreadable"


@pytest.mark.parametrize("name", ["a\0b", "\ud800", "x" * 100_000, "a/" * 40_000])
def test_a_path_that_no_system_has_is_unreadable_and_no_fault(tmp_path, name):
    result = hash_artifact(tmp_path / name, Fingerprint(0, 0, 0), store=tmp_path / "objects")
    assert (result.problem, result.hash_value) in (("unreadable", ""), ("missing", ""))
    result.detail.encode()


def test_a_link_is_followed_to_the_file_that_the_user_means(tmp_path):
    (tmp_path / "f").write_bytes(b"data")
    (tmp_path / "link").symlink_to(tmp_path / "f")
    assert hash_artifact(tmp_path / "link", registered(tmp_path / "link")).hash_value == sha(b"data")


def test_a_folder_has_the_hash_of_its_sorted_files(tmp_path):
    folder = tmp_path / "d"
    (folder / "sub").mkdir(parents=True)
    (folder / "b").write_bytes(b"1")
    (folder / "sub" / "a").write_bytes(b"22")
    lines = "".join(
        f"{hashlib.sha256(data).hexdigest()} {len(data)} {name}\n" for name, data in [("b", b"1"), ("sub/a", b"22")]
    )
    result = hash_artifact(folder, registered(folder))
    assert (result.hash_value, result.size_bytes) == (sha(lines.encode()), 3)
    (folder / "b").rename(folder / "c")
    assert hash_artifact(folder, registered(folder)).hash_value != result.hash_value


def test_a_read_error_is_a_problem_and_leaves_no_thread_behind(tmp_path, monkeypatch):
    path = tmp_path / "f"
    path.write_bytes(b"x" * 20_000)
    before = registered(path)

    def fail(source, buffers):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(hashing.os, "readv", fail)
    threads = threading.active_count()
    result = hash_artifact(path, before)
    assert (result.problem, result.hash_value) == ("unreadable", "")
    assert threading.active_count() == threads


def test_a_full_disk_while_copying_leaves_nothing_behind(tmp_path, monkeypatch):
    path, store = tmp_path / "f", tmp_path / "objects"
    path.write_bytes(b"x" * 20_000)

    def fail(target, data):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(hashing.os, "write", fail)
        result = hash_artifact(path, registered(path), store=store)
    assert (result.hash_value, result.stored_path) == (sha(b"x" * 20_000), "")
    assert "No space left" in result.detail
    assert list(store.iterdir()) == []


def test_copies_that_a_crash_left_unfinished_are_removed(tmp_path):
    (tmp_path / ".incoming-1-2").write_bytes(b"half")
    (tmp_path / "ab").mkdir()
    hashing.remove_incoming(tmp_path)
    assert [each.name for each in tmp_path.iterdir()] == ["ab"]
    hashing.remove_incoming(tmp_path / "not there")


def test_a_folder_that_cannot_be_listed_whole_has_no_hash(tmp_path, monkeypatch):
    (tmp_path / "d" / "closed").mkdir(parents=True)
    real = os.scandir

    def refuse(path):
        if os.fspath(path).endswith("closed"):
            raise PermissionError(13, "Permission denied")
        return real(path)

    with monkeypatch.context() as patch:
        patch.setattr(os, "scandir", refuse)
        result = hash_artifact(tmp_path / "d", registered(tmp_path / "d"))
    assert (result.problem, result.hash_value) == ("unreadable", "")
