"""What another user of the machine gets of a workspace: nothing, and no word in it either."""

from __future__ import annotations

import json
import os
import socket
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
from daemon_process import Calls, daemons, refusal
from other_user import STRANGER, as_user, needs_root
from served import Served
from waiting import wait_until
from workspace_processes import kill_all

from contexta.v1 import query_pb2, query_pb2_grpc, store_pb2, store_pb2_grpc
from contexta_client import launch
from contexta_client.capture import spool_place

WORK = """
run = ctx.run("r", tags={"a": "b"}).__enter__()
stage = run.stage("train")
for step in range(2000):
    stage.metric("loss", 0.5, step=step)
run.event("e", message="m")
run.register_artifact("program", __import__("sys").executable, compute_hash=False)
ctx.flush()
run.close()
ctx.list_runs()
ctx.close()
"""


@pytest.fixture
def start() -> Iterator[object]:
    with daemons() as starting:
        yield starting


@pytest.fixture
def public_folder() -> Iterator[Path]:
    """Where every user comes to, as in /tmp: what is private below is private by its own mode."""
    with tempfile.TemporaryDirectory(prefix="p", dir="/tmp") as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


def open_to_others(folder: Path) -> list[str]:
    paths = [folder, *(Path(base, name) for base, folders, files in os.walk(folder) for name in [*folders, *files])]
    modes = {path: path.lstat().st_mode for path in paths if not path.is_symlink()}
    return [f"{path} {mode:o}" for path, mode in modes.items() if mode & 0o077]


def test_whatever_the_umask_all_that_a_run_leaves_is_its_owners_alone(served: Served, tmp_path: Path) -> None:
    served.run("os.umask(0)\n" + WORK)
    wait_until(lambda: (served.path / "cache" / "capture" / "record.jsonl").exists())
    spools = [root for root in spool_place.candidate_roots(served.path) if root.exists()]
    assert spools and (served.path / "records" / "log").is_dir()
    record = launch.read_endpoint(served.path)
    assert record is not None
    places = [served.path, *spools, Path(record.socket).parent]
    assert [found for place in places for found in open_to_others(place)] == []


@needs_root
def test_another_user_reaches_neither_socket_nor_token_nor_records(start, public_folder: Path) -> None:
    daemon = start(public_folder / "ws", config={"daemon": {"socket_dir": str(public_folder / "sockets")}}).serves()
    found = json.loads((public_folder / "ws" / "daemon" / "daemon.json").read_text())

    def attack() -> list[str]:
        said = []
        with socket.socket(socket.AF_UNIX) as made:
            for attempt in (
                lambda: made.connect(found["socket"]),
                lambda: Path(found["token_file"]).read_text(),
                lambda: os.listdir(public_folder / "ws"),
                lambda: os.listdir(public_folder / "ws" / "records"),
                lambda: (public_folder / "ws" / "x").touch(),
                lambda: os.listdir(Path(found["socket"]).parent),
            ):
                try:
                    attempt()
                    said.append("done")
                except PermissionError:
                    said.append("refused")
        return said

    assert as_user(STRANGER, attack) == ["refused"] * 6
    for folder in (public_folder / "ws", public_folder / "ws" / "daemon", public_folder / "sockets"):
        folder.chmod(0o755)  # the socket's own mode is a second door
    assert as_user(STRANGER, attack)[0] == "refused"
    daemon.kill()


@needs_root
@pytest.mark.parametrize("place", ["a socket of theirs in a folder of theirs", "a socket of theirs in ours"])
def test_a_socket_that_another_user_put_there_is_never_spoken_to(
    served: Served, public_folder: Path, place: str
) -> None:
    ctx = served.contexta()
    with ctx.run("r"):
        pass
    assert [run.name for run in ctx.list_runs()] == ["r"]
    record_file = served.path / "daemon" / "daemon.json"
    record = json.loads(record_file.read_text())
    folder = public_folder / "sockets"
    folder.mkdir(mode=0o755)
    asked: list[bytes] = []
    with socket.socket(socket.AF_UNIX) as trap:
        trap.bind(str(folder / "s"))
        os.chown(folder / "s", STRANGER, STRANGER)
        if "folder of theirs" in place:
            os.chown(folder, STRANGER, STRANGER)
        trap.listen()
        watch = threading.Thread(target=lambda: asked.append(heard(trap)))
        watch.start()
        ctx.close()
        kill_all(served.path)
        record_file.write_text(json.dumps({**record, "socket": str(folder / "s"), "pid": os.getpid()}))
        assert launch.find_daemon(served.path) is None
        again = served.contexta()
        with again.run("second"):
            pass
        assert sorted(run.name for run in again.list_runs()) == ["r", "second"]  # of a daemon of our own
        with socket.socket(socket.AF_UNIX) as ending:
            ending.connect(str(folder / "s"))
            ending.sendall(b"end")
        watch.join(20)
    assert asked == [b"end"]


def heard(trap: socket.socket) -> bytes:
    connection, _ = trap.accept()
    with connection:
        return connection.recv(100)


def test_a_record_of_a_daemon_cannot_make_a_client_send_another_file_as_its_token(start, tmp_path: Path) -> None:
    start(tmp_path / "ws").serves()
    (tmp_path / "secret").write_text("private words\n")
    record_file = tmp_path / "ws" / "daemon" / "daemon.json"
    record = json.loads(record_file.read_text())
    record_file.write_text(json.dumps({**record, "token_file": str(tmp_path / "secret"), "log_file": "/etc/passwd"}))
    endpoint = launch.find_daemon(tmp_path / "ws")
    assert endpoint is not None
    assert endpoint.token == (tmp_path / "ws" / "daemon" / "token").read_text().strip()
    assert endpoint.log_file == str(tmp_path / "ws" / "daemon" / "daemon.log")


@pytest.mark.parametrize(
    "metadata",
    [
        (),
        (("contexta-token", ""),),
        (("contexta-token", "0" * 64),),
        (("contexta-token", "0" * 6_000),),
        (("contexta-token", "{token}x"),),
        (("contexta-token", "{token}"), ("contexta-token", "0" * 64)),
        (("contexta-token-bin", b"\xff"),),
    ],
)
def test_no_service_answers_without_the_token(start, tmp_path: Path, metadata) -> None:
    daemon = start(tmp_path / "ws").serves()
    with daemon.calls() as calls:
        token = calls.metadata[0][1]
        wrong = tuple((k, v.replace("{token}", token) if isinstance(v, str) else v) for k, v in metadata)
        calls.metadata = wrong
        with pytest.raises(grpc.RpcError) as caught:
            calls.status()
        assert refusal(caught.value).code == "unauthenticated"
        for call in (lambda: calls.append(b"s" * 16, 0, 0), lambda: calls.open_session(b"s" * 16), calls.stop):
            with pytest.raises(grpc.RpcError) as caught:
                call()
            assert caught.value.code() == grpc.StatusCode.UNAUTHENTICATED
    with grpc.insecure_channel(f"unix:{daemon.socket}") as channel:
        query, store = query_pb2_grpc.QueryStub(channel), store_pb2_grpc.StoreStub(channel)
        for service, messages in ((query_pb2.DESCRIPTOR.services_by_name["Query"], query),
                                  (store_pb2.DESCRIPTOR.services_by_name["Store"], store)):  # fmt: skip
            for method in service.methods:
                assert refused(channel, service, method, wrong), (method.name, messages)
        path = "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"
        with pytest.raises(grpc.RpcError) as caught:
            next(channel.stream_stream(path)(iter([b""]), metadata=wrong, timeout=20))
        assert caught.value.code() == grpc.StatusCode.UNAUTHENTICATED


def refused(channel: grpc.Channel, service, method, metadata) -> bool:
    path = f"/{service.full_name}/{method.name}"
    try:
        if method.server_streaming:
            next(channel.unary_stream(path)(b"", metadata=metadata, timeout=20))
        elif method.client_streaming:
            channel.stream_unary(path)(iter([b""]), metadata=metadata, timeout=20)
        else:
            channel.unary_unary(path)(b"", metadata=metadata, timeout=20)
    except grpc.RpcError as error:
        return error.code() == grpc.StatusCode.UNAUTHENTICATED
    return False


def test_a_token_that_others_could_read_is_closed_to_them_when_the_daemon_starts(start, tmp_path: Path) -> None:
    folder = tmp_path / "ws" / "daemon"
    folder.mkdir(parents=True)
    (folder / "token").write_text("a" * 64 + "\n")
    (folder / "token").chmod(0o644)
    daemon = start(tmp_path / "ws").serves()
    assert (folder / "token").stat().st_mode & 0o777 == 0o600
    assert isinstance(daemon.calls(), Calls)
