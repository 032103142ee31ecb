"""Folders for their owner alone, and whom a socket and a workspace may belong to."""

from __future__ import annotations

import os
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from other_user import ANOTHER, STRANGER, as_user, needs_root

from contexta._private_folders import is_trusted_socket, make_folder, refuse_strangers
from contexta_daemon.tenancy import Tenancy


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that every user can enter and write to, as /tmp is; with a path that is short enough for sockets."""
    with tempfile.TemporaryDirectory(prefix="o", dir="/tmp") as folder:
        Path(folder).chmod(0o1777)
        yield Path(folder)


def bound(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(path))


def private(path: Path) -> Path:
    path.mkdir(mode=0o700)
    return path


def test_all_that_is_made_is_private_whatever_the_umask(tmp_path: Path) -> None:
    umask = os.umask(0)
    try:
        make_folder(tmp_path / "a" / "b" / "c")
    finally:
        os.umask(umask)
    made = [tmp_path / "a", tmp_path / "a" / "b", tmp_path / "a" / "b" / "c"]
    assert [path.stat().st_mode & 0o777 for path in made] == [0o700] * 3
    make_folder(made[-1])
    (tmp_path / "file").touch()
    with pytest.raises(NotADirectoryError):
        make_folder(tmp_path / "file")


def test_a_socket_is_trusted_where_nobody_else_can_have_put_it(open_folder: Path) -> None:
    folder = private(open_folder / "own")
    bound(folder / "s")
    assert is_trusted_socket(str(folder / "s"))
    assert is_trusted_socket(str(folder / "not-yet"))
    (folder / "file").touch()
    (folder / "link").symlink_to(folder / "s")
    (open_folder / "other").symlink_to(folder)
    untrusted = [folder / "file", folder / "link", open_folder / "other" / "s", open_folder / "gone" / "s"]
    bound(open_folder / "s")  # anybody could have
    assert not any(is_trusted_socket(str(path)) for path in [*untrusted, open_folder / "s"])
    assert not any(is_trusted_socket(text) for text in ("", "s", "\0", "x" * 5_000))
    folder.chmod(0o720)
    assert not is_trusted_socket(str(folder / "s"))


@needs_root
def test_a_socket_of_another_user_is_not_trusted_wherever_it_lies(open_folder: Path) -> None:
    folder = private(open_folder / "own")
    bound(folder / "s")
    os.chown(folder / "s", STRANGER, STRANGER)
    assert not is_trusted_socket(str(folder / "s"))
    bound(folder / "t")
    os.chown(folder, STRANGER, STRANGER)
    assert not is_trusted_socket(str(folder / "t"))


@needs_root
@pytest.mark.parametrize("whose", ["the workspace", "a part", "a link for a part"])
def test_a_workspace_that_another_user_can_lead_elsewhere_is_refused(open_folder: Path, whose: str) -> None:
    workspace = private(open_folder / "ws")
    os.chown(workspace, ANOTHER, ANOTHER)
    as_user(ANOTHER, lambda: Tenancy(workspace).withdraw())
    if whose == "the workspace":
        os.chown(workspace, STRANGER, STRANGER)
        workspace.chmod(0o777)
        (workspace / "daemon").chmod(0o777)
    else:
        if whose == "a part":
            (workspace / "records").mkdir()
        else:
            (workspace / "records").symlink_to("/tmp")
        os.chown(workspace / "records", STRANGER, STRANGER, follow_symlinks=False)

    def refused() -> str:
        try:
            refuse_strangers(workspace)
        except PermissionError as error:
            try:
                Tenancy(workspace)
            except PermissionError:
                return str(error)
        return ""

    named = workspace if whose == "the workspace" else workspace / "records"
    said = f"{named} belongs to user {STRANGER}, not to {ANOTHER}; use a folder of your own"
    assert as_user(ANOTHER, refused) == said


@needs_root
def test_a_workspace_made_by_root_and_given_away_is_its_new_owners(open_folder: Path) -> None:
    workspace = private(open_folder / "ws")
    os.chown(workspace, ANOTHER, ANOTHER)
    (workspace / "records").mkdir()  # root's
    assert as_user(ANOTHER, lambda: refuse_strangers(workspace)) is None
