"""Holding a workspace: the lock, the token, the socket's place."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from contexta_daemon.tenancy import AlreadyRunningError, Tenancy, own_folder, workspace_hash


@pytest.fixture
def tenancy(tmp_path: Path):
    held = Tenancy(tmp_path / "ws")
    yield held
    held.withdraw()


def bound(path: Path, *, age_s: float, listening: bool) -> socket.socket | None:
    """A socket file of that age; of a daemon that lives, or of one that was killed."""
    made = socket.socket(socket.AF_UNIX)
    made.bind(str(path))
    os.utime(path, (path.stat().st_mtime - age_s,) * 2)
    if listening:
        made.listen()
        return made
    made.close()
    return None


def test_a_workspace_is_held_by_one_and_free_when_it_is_given_back(tmp_path: Path) -> None:
    first = Tenancy(tmp_path / "ws")
    with pytest.raises(AlreadyRunningError, match=f"pid {os.getpid()}"):
        Tenancy(tmp_path / "ws")
    first.withdraw()
    Tenancy(tmp_path / "ws").withdraw()


def test_it_is_ours_only_while_the_lock_file_at_its_path_is_the_one_held(tenancy: Tenancy) -> None:
    assert tenancy.is_ours()
    (tenancy.folder / "daemon.lock").rename(tenancy.folder / "moved")
    assert not tenancy.is_ours()
    (tenancy.folder / "daemon.lock").write_text("")
    assert not tenancy.is_ours()


@pytest.fixture
def short_folder() -> Iterator[Path]:
    """A folder whose sockets' paths are short enough, wherever the tests' own folders lie."""
    with tempfile.TemporaryDirectory(prefix="s", dir="/tmp") as folder:
        yield Path(folder)


def test_sockets_of_the_dead_are_swept_and_those_of_the_living_and_the_newborn_are_not(
    tenancy: Tenancy, tmp_path: Path, short_folder: Path
) -> None:
    folder = short_folder
    name = workspace_hash(tmp_path) + "-0000000{}.sock"
    bound(folder / name.format(1), age_s=3_600, listening=False)
    bound(folder / name.format(2), age_s=0, listening=False)
    alive = bound(folder / name.format(3), age_s=3_600, listening=True)
    bound(folder / "other.sock", age_s=3_600, listening=False)
    assert tenancy.place_socket(str(folder)).parent == folder
    assert sorted(path.name for path in folder.iterdir()) == [name.format(2), name.format(3), "other.sock"]
    assert alive is not None
    alive.close()


def test_what_a_stale_record_names_is_removed_only_if_it_is_a_socket_of_this_workspace(
    tenancy: Tenancy, short_folder: Path
) -> None:
    (short_folder / "old").mkdir()
    name = f"{workspace_hash(tenancy.workspace)}-00000001.sock"
    for path, kept in (
        (short_folder / "old" / name, True),  # a file of the user's
        (short_folder / "old" / f"{'0' * 12}-00000001.sock", True),  # a socket of another workspace
        (short_folder / "old" / name, False),
    ):
        if path.name == name and kept:
            path.write_text("mine")
        else:
            path.unlink(missing_ok=True)
            bound(path, age_s=0, listening=False)
        told = {"workspace": str(tenancy.workspace), "socket": str(path), "instance": "00000001"}
        (tenancy.folder / "daemon.json").write_text(json.dumps(told))
        tenancy.place_socket(str(short_folder))
        assert path.exists() == kept


def test_a_daemon_whose_workspace_was_moved_away_leaves_the_record_of_the_next_one(tmp_path: Path) -> None:
    first = Tenancy(tmp_path / "ws")
    first.folder.rename(tmp_path / "elsewhere")
    second = Tenancy(tmp_path / "ws")
    (second.folder / "daemon.json").write_text("{}")
    first.withdraw()
    assert (second.folder / "daemon.json").exists()
    second.withdraw()


def test_a_folder_is_made_private_and_a_strange_one_is_refused(tmp_path: Path) -> None:
    own_folder(tmp_path / "new")
    assert (tmp_path / "new").stat().st_mode & 0o777 == 0o700
    (tmp_path / "open").mkdir(mode=0o755)
    own_folder(tmp_path / "open")
    assert (tmp_path / "open").stat().st_mode & 0o777 == 0o700
    (tmp_path / "link").symlink_to(tmp_path / "new")
    with pytest.raises(PermissionError):
        own_folder(tmp_path / "link")


def test_a_token_is_kept_and_a_damaged_one_replaced(tenancy: Tenancy) -> None:
    token = tenancy.token()
    assert tenancy.token_file.stat().st_mode & 0o777 == 0o600
    assert len(token) == 64 and tenancy.token() == token
    tenancy.token_file.write_bytes(b"\xff\n")
    assert tenancy.token() != token


def test_what_a_killed_daemon_left_half_written_is_gone_after_the_next(tmp_path: Path) -> None:
    killed_at_rename = """
import os, sys
from pathlib import Path
from contexta_daemon.tenancy import Tenancy
Path.rename = lambda *_: os._exit(9)
Tenancy(Path(sys.argv[1])).token()
"""
    assert subprocess.run([sys.executable, "-c", killed_at_rename, str(tmp_path)], check=False).returncode == 9
    after = Tenancy(tmp_path)
    assert list(after.folder.glob(".*")) != []
    after.token()
    assert list(after.folder.glob(".*")) == []
    after.withdraw()


def test_a_token_that_others_can_read_is_theirs_no_longer(tenancy: Tenancy) -> None:
    token = tenancy.token()
    tenancy.token_file.chmod(0o644)
    assert tenancy.token() == token
    assert tenancy.token_file.stat().st_mode & 0o777 == 0o600


def test_a_folder_of_somebody_else_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    somebody_else = os.getuid() + 1
    monkeypatch.setattr(os, "getuid", lambda: somebody_else)
    with pytest.raises(PermissionError):
        own_folder(tmp_path)
