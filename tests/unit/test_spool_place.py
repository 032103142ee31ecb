"""Where spools lie, and what is refused there."""

from __future__ import annotations

import errno
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from capturing import Capturing
from spool_writer import LockHolder, SpoolWriter

from contexta_client.capture import notices, spool_place
from contexta_client.launch import local_workers
from contexta_client.sender.__main__ import read_config
from contexta_client.sender.spools import Spools


@pytest.fixture
def base(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "base"
    monkeypatch.setenv(spool_place.BASE_VARIABLE, str(folder))
    return folder


def test_the_root_is_private_and_says_whose_it_is(base: Path, tmp_path: Path) -> None:
    workspace = tmp_path / "workspace"
    root = spool_place.choose_root(workspace, 1 << 20)
    assert root == base / f"contexta-{os.getuid()}" / spool_place.workspace_hash(workspace)
    assert root.stat().st_mode & 0o777 == 0o700
    assert root.parent.stat().st_mode & 0o777 == 0o700
    assert (root / "workspace").read_text() == str(workspace)
    assert spool_place.candidate_roots(workspace) == [root] == [spool_place.control_root(workspace)]


def test_two_ways_to_one_workspace_give_one_root(base: Path, tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    roots = {spool_place.control_root(tmp_path / name) for name in ("real", "link", "real/../link")}
    assert len(roots) == 1


def test_memory_comes_first_then_the_workspace_then_the_temporary_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(spool_place.BASE_VARIABLE, raising=False)
    monkeypatch.setattr(spool_place, "MEMORY_BASE", tmp_path)
    monkeypatch.setattr(spool_place.sys, "platform", "linux")
    bases = list(spool_place.candidate_bases(tmp_path / "workspace"))
    assert bases[:2] == [tmp_path, tmp_path / "workspace" / "cache" / "spool"]
    assert len(bases) == 3


def test_without_a_temporary_folder_the_other_places_are_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> str:
        raise FileNotFoundError

    monkeypatch.delenv(spool_place.BASE_VARIABLE, raising=False)
    monkeypatch.setattr(spool_place, "MEMORY_BASE", tmp_path)
    monkeypatch.setattr("tempfile.gettempdir", refuse)
    assert list(spool_place.candidate_bases(tmp_path / "workspace"))[-1] == tmp_path / "workspace" / "cache" / "spool"


def test_a_base_without_room_is_passed_over_and_the_roomiest_taken_when_none_has_enough(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(spool_place.BASE_VARIABLE, raising=False)
    bases = [tmp_path / name for name in "abc"]
    monkeypatch.setattr(spool_place, "candidate_bases", lambda workspace: iter(bases))
    free = {"a": 10, "b": 300, "c": 5000}
    monkeypatch.setattr(spool_place, "free_bytes", lambda folder: free[folder.relative_to(tmp_path).parts[0]])
    assert spool_place.choose_root(tmp_path, 100).is_relative_to(bases[1])
    assert spool_place.choose_root(tmp_path, 2000).is_relative_to(bases[2])
    assert spool_place.choose_root(tmp_path, 10**6).is_relative_to(bases[2])


def test_the_settings_lie_where_the_sender_looks_even_when_the_spool_lies_elsewhere(
    capturing: Capturing, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bases = [tmp_path / "first", tmp_path / "second"]
    monkeypatch.setattr(spool_place, "candidate_bases", lambda workspace: iter(bases))
    monkeypatch.setattr(spool_place, "free_bytes", lambda folder: 10**12 * folder.is_relative_to(bases[1]))
    recorder = capturing.recorder()
    recorder.run("x")
    assert recorder.stream().spool.path.is_relative_to(bases[1])
    settings = spool_place.control_root(capturing.workspace) / spool_place.CONFIG_NAME
    assert settings.is_relative_to(bases[0])
    assert json.loads(settings.read_text())["project_name"] == "Demo"
    assert settings.stat().st_mode & 0o777 == 0o600


def test_settings_that_find_no_room_in_memory_are_left_and_found_elsewhere(
    capturing: Capturing, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    bases = [tmp_path / "first", tmp_path / "second"]
    monkeypatch.setattr(spool_place, "candidate_bases", lambda workspace: iter(bases))
    monkeypatch.setattr(notices, "_said", set())
    workspace = capturing.workspace
    spool_place.write_settings(workspace, b'{"old": 1}')
    full: list[Path] = [bases[0]]
    replace_file = spool_place.replace_file

    def refuse(path: Path, data: bytes) -> None:
        if any(path.is_relative_to(base) for base in full):
            raise OSError(errno.ENOSPC, "No space left on device")
        replace_file(path, data)

    monkeypatch.setattr(spool_place, "replace_file", refuse)
    capturing.recorder().run("x")
    assert read_config(workspace)["project_name"] == "Demo"
    assert not caplog.messages
    full.append(bases[1])
    capturing.recorder(local_jsonl=False).run("x")
    assert "cannot be told the configuration" in caplog.text and "No space left" in caplog.text
    full.clear()
    spool_place.write_settings(workspace, b'{"new": 1}')
    assert read_config(workspace) == {"new": 1}  # not the one that is left elsewhere


@pytest.fixture
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Say which bases this process thinks of; the first one has no room."""

    def think_of(*names: str) -> None:
        bases = [tmp_path / name for name in names]
        monkeypatch.setattr(spool_place, "candidate_bases", lambda workspace: iter(bases))
        monkeypatch.setattr(spool_place, "free_bytes", lambda folder: 0 if folder.is_relative_to(bases[0]) else 10**12)

    return think_of


def test_a_spool_in_the_temporary_folder_of_a_job_is_found_by_readers_who_have_another(
    tmp_path: Path, places: Callable[..., None]
) -> None:
    workspace = tmp_path / "workspace"
    places("memory", "tmp-of-the-sender")
    spools = Spools(workspace)
    places("memory", "tmp-of-the-job")
    holder = LockHolder()
    writer = SpoolWriter(spool_place.choose_root(workspace, 1), holder=holder)
    assert spool_place.choose_root(workspace, 1) == writer.path.parent  # noted once
    places("memory", "tmp-of-the-sender")
    assert writer.path.is_relative_to(tmp_path / "tmp-of-the-job")
    spools.discover(0.0)
    assert list(spools.sessions) == [writer.session_id]
    assert spools.roots[0] == spool_place.control_root(workspace)
    assert [worker.session_id for worker in local_workers(workspace)] == [writer.session_id.hex()]
    spools.remove(writer.session_id)
    holder.close()


def test_a_note_that_leads_nowhere_is_removed_when_it_is_old_and_one_that_leads_astray_is_not_followed(
    tmp_path: Path, places: Callable[..., None]
) -> None:
    workspace = tmp_path / "workspace"
    places("memory", "job-1")
    first = spool_place.choose_root(workspace, 1)
    control = spool_place.control_root(workspace)
    (note,) = control.glob("root-*")
    (control / "root-astray").symlink_to(tmp_path)
    assert spool_place.noted_roots(workspace) == [first]
    shutil.rmtree(first)
    places("memory", "job-2")
    second = spool_place.choose_root(workspace, 1)
    assert set(spool_place.noted_roots(workspace)) == {first, second}
    old = note.lstat().st_mtime - spool_place.NOTE_KEPT_S - 60
    os.utime(note, (old, old), follow_symlinks=False)
    places("memory", "job-3")
    third = spool_place.choose_root(workspace, 1)
    assert set(spool_place.noted_roots(workspace)) == {second, third}


def test_a_link_in_place_of_the_folder_is_refused(base: Path, tmp_path: Path) -> None:
    base.mkdir()
    (tmp_path / "elsewhere").mkdir()
    (base / f"contexta-{os.getuid()}").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError, match="not a folder"):
        spool_place.choose_root(tmp_path / "workspace", 1 << 20)
    assert not list((tmp_path / "elsewhere").iterdir())


def test_a_folder_of_another_user_is_refused(base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spool_place.choose_root(tmp_path, 1 << 20)
    uid = os.getuid()
    folder = base / f"contexta-{uid}"
    monkeypatch.setattr(spool_place.os, "getuid", lambda: uid + 1)
    with pytest.raises(PermissionError, match="belongs to user"):
        spool_place.check_private(folder)


def test_a_folder_that_others_may_enter_is_closed_to_them(base: Path, tmp_path: Path) -> None:
    root = spool_place.choose_root(tmp_path, 1 << 20)
    root.chmod(0o755)
    assert spool_place.choose_root(tmp_path, 1 << 20) == root
    assert root.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize(
    ("path", "network"),
    [("/data/x", True), ("/data", True), ("/database", False), ("/home/a b/c", True), ("/x/fuse", False), ("/s", True)],
)
def test_a_network_file_system_is_known_by_its_mount(tmp_path: Path, path: str, network: bool) -> None:
    mounts = tmp_path / "mounts"
    mounts.write_text(
        "root / ext4 rw 0 0\nserver:/v /data nfs4 rw 0 0\nserver:/w /home/a\\040b lustre rw 0 0\n"
        "o /x/fuse fuse.fuse-overlayfs rw 0 0\nh:/ /s fuse.sshfs rw 0 0\n"
    )
    assert spool_place.is_network(Path(path), str(mounts)) is network
    assert not spool_place.is_network(Path(path), str(tmp_path / "absent"))


def test_a_base_on_a_network_file_system_is_not_used(
    base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spool_place, "is_network", lambda folder: True)
    with pytest.raises(OSError, match="network file system"):
        spool_place.choose_root(tmp_path, 1 << 20)


def test_a_file_of_which_the_system_takes_a_byte_at_a_time_is_whole(tmp_path, monkeypatch):
    real = os.write
    monkeypatch.setattr(os, "write", lambda file, data: real(file, bytes(data)[:1]))
    spool_place.replace_file(tmp_path / "config.json", b'{"capture": {}}')
    assert (tmp_path / "config.json").read_bytes() == b'{"capture": {}}'
    assert [each.name for each in tmp_path.iterdir()] == ["config.json"]
