"""Writes tests/corpus: what fuzzing begins with, and what it found. Files are small, and the same each time.

    python scripts/make_corpus.py [FOLDER]

What fuzzing finds is added below, in FOUND, by hand: small, and with a name that says what it did.
"""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from fuzz_batches import valid_bodies  # noqa: E402
from fuzz_calls import valid_calls  # noqa: E402
from fuzz_log import Frames, Segments  # noqa: E402
from fuzz_spool import CURSOR, SESSION, SPILLED, pack_files  # noqa: E402
from log_writing import make_batch, session  # noqa: E402
from logged import columns, key_defined, rows  # noqa: E402
from spool_writer import SpoolWriter  # noqa: E402

from contexta.contract import ArtifactManifest  # noqa: E402
from contexta.v1 import capture_pb2 as pb  # noqa: E402
from contexta_client.recovery.backup_format import BackupManifest, encode_manifest  # noqa: E402
from contexta_client.sender.cursor import Cursor  # noqa: E402
from contexta_daemon.log.envelope import (  # noqa: E402
    SessionState,
    encode_batch,
    encode_checkpoint,
    encode_session_closed,
)

CORPUS = ROOT / "tests" / "corpus"


def payload() -> dict[str, bytes]:
    _, batch, checkpoint, closed = _payloads()
    flags = bytes([make_batch(session(9), 0)[1].compressed])
    return {"batch": b"\0" + flags + batch, "checkpoint": b"\1\0" + checkpoint, "closed": b"\2\0" + closed}


def frames() -> dict[str, bytes]:
    compressed, batch, checkpoint, closed = _payloads()

    def framed(kind: int, flags: int, content: bytes) -> bytes:
        return bytes([kind, flags]) + len(content).to_bytes(2, "little") + content

    with tempfile.TemporaryDirectory() as folder:
        log = Frames(Path(folder))
        follows = log.last_number.to_bytes(4, "little") + log.committed.offset.to_bytes(8, "little")
    alike = framed(1, 0, checkpoint) + framed(0, compressed, batch) + framed(2, 0, closed)
    return {"follows": follows + alike, "cuts": bytes(12) + alike, "nothing": follows, "not-a-batch": follows
            + framed(1, 0, checkpoint) + framed(0, 0, b"x" * 20) + framed(2, 0, b"x")}  # fmt: skip


def _payloads() -> tuple[int, bytes, bytes, bytes]:
    envelope, body = make_batch(session(9), 0)
    checkpoint = encode_checkpoint([(session(1), SessionState(3, b"cursor", False, 5))])
    closed = encode_session_closed(session(9), 4)
    return int(body.compressed), b"".join(encode_batch(envelope, body)), checkpoint, closed


def segment() -> dict[str, bytes]:
    with tempfile.TemporaryDirectory() as folder:
        whole = Segments(Path(folder)).last.read_bytes()
    middle = len(whole) // 2
    flipped = whole[:middle] + bytes([whole[middle] ^ 8]) + whole[middle + 1 :]
    return {"whole": whole, "torn": whole[: len(whole) - 7], "empty": b"", "flipped": flipped}


def spool() -> dict[str, bytes]:
    files = _spool_files()
    cursor = Cursor(journal=(0, 80), series={0: (0, 2), 1: (0, 1)}, holes=((0, 0, 1),)).pack()
    moved = {(SPILLED + name if name.endswith("-0") else name): content for name, content in files.items()}
    impossible = dict(files)
    block = bytearray(impossible["group1-1"])
    block[64 + 3 * 8 + 4] = 1  # of the first row: above the scope's 32 bits
    impossible["group1-1"] = bytes(block)
    return {
        "whole": pack_files(files),
        "spilled-with-a-cursor": pack_files(moved | {CURSOR: cursor}),
        "without-a-header": pack_files({SPILLED + name: files[name] for name in files if name != "header"}),
        "begun": pack_files({name: files[name] for name in ("header", "journal-0")}),
        "found-impossible-scope": pack_files(impossible),
        "found-impossible-names": pack_files({**files, "group0-1": b"x", "rows-99999999999": b"x" * 64}),
    }


def _spool_files() -> dict[str, bytes]:
    with tempfile.TemporaryDirectory() as folder:
        writer = SpoolWriter(Path(folder), session_id=SESSION)
        writer.begin()
        writer.entry("group_defined", group_id=1, key_id=[1, 1])
        for step, time in enumerate((5, 6, 0, -1, 7, 8), 1):
            writer.row(step / 3, step=step, time=time, capacity=4)
        for step in range(4):
            writer.group_row(1, [1.5, step / 7], step=step, capacity=3)
        writer.entry("event", key="e", message="m", scope_id=1)
        return {path.name: path.read_bytes() for path in sorted(writer.path.iterdir()) if path.name[0] != "."}


def cursor() -> dict[str, bytes]:
    full = Cursor(journal=(3, 80), series={0: (1, 2), 1: (0, 1), 7: (9, 9)}, holes=((0, 0, 1), (7, 1, 1)), torn=3)
    return {"full": full.pack(), "beginning": Cursor().pack(), "empty": b""}


def batch() -> dict[str, bytes]:
    metrics = pb.RawBatch(
        entries=[key_defined(1, "x").SerializeToString(), _group().SerializeToString()],
        columns=[columns([1.0, float("nan")], series=(1, 1), step=[0, 5])],
        rows=[rows([[1.0, 2.0], [3.0, 4.0]], group=1, scope=1)],
    )
    return {**valid_bodies(), "metrics": metrics.SerializeToString(), **FOUND.get("batch", {})}


def _group() -> pb.Entry:
    return pb.Entry(time_ns=5, group_defined=pb.GroupDefined(group_id=1, key_id=[1, 1]))


def package() -> dict[str, bytes]:
    manifest = ArtifactManifest(
        artifact_ref="artifact:demo.fit.model-1", artifact_kind="model", created_at="2026-01-31T09:00:00Z",
        producer_ref="tests", run_ref="run:demo.fit", location_ref="path:/x",
    ).to_json().encode()  # fmt: skip
    names = ("manifest.json", "payload")
    files = [{"name": name, "size_bytes": 0, "hash_value": "right"} for name in names]
    said = {"format": "contexta-artifact-package", "version": 1, "artifact_ref": "artifact:demo.fit.model-1"}
    made = {}
    for name, listed in (("whole", files), ("outside", [*files, {**files[1], "name": "../../x"}]), ("less", files[:1])):
        text = json.dumps({**said, "files": listed}).encode()
        made[name] = pack_files({"package.json": text, "manifest.json": manifest, "payload": b"weights" * 9})
    return made


def backup() -> dict[str, bytes]:
    empty = json.loads(encode_manifest(BackupManifest("2026-01-31T09:00:00Z", "l", "/w", "0.1", (), ())))
    empty["rebuilt"] = "for people"
    data = {"records/log/0000000001.seg": b"segment", "models/a/b.bin": b"weights" * 9, "c.txt": b""}
    files = [{"part": "log", "path": path, "size_bytes": 0, "hash_value": "right"} for path in data]
    made = {}
    hostile = ("../x", "/tmp/x", "daemon/token", "records/columns/x", "models/a")
    for name, paths in (("whole", ()), *((f"path-{number}", (path,)) for number, path in enumerate(hostile))):
        listed = [*files, *({**files[0], "path": path} for path in paths)]
        text = json.dumps({**empty, "files": listed}).encode()
        made[name] = pack_files({"manifest.json": text, **{f"data/{path}": content for path, content in data.items()}})
    return made


def config() -> dict[str, bytes]:
    whole = b'project_name = "demo"\n[capture]\nspool_bytes = "64MiB"\nlocal_jsonl = true\n'
    whole += b'[records]\ndurability = "sync"\n'
    return {
        "whole": whole,
        "profile": b'profile_name = "test"\n[daemon]\nidle_timeout_s = 5.5\n',
        "variables": whole + b"\0CONTEXTA_PROJECT_NAME=x\0CONTEXTA_CAPTURE__SPOOL_BYTES=1GiB\0CONTEXTA_RANK=2",
        "unknown": b"[capture]\nspoolbytes = 3\n",
        "no-toml": b"[[[",
        "found-too-deep": b"a = " + b"[" * 1000,
        "found-too-long-a-number": b"a = " + b"1" * 5000,
    }


def rpc() -> dict[str, bytes]:
    return {**valid_calls(), **FOUND.get("rpc", {})}


FOUND: dict[str, dict[str, bytes]] = {}
TARGETS: tuple[Callable[[], dict[str, bytes]], ...] = (
    payload, frames, segment, spool, cursor, batch, package, backup, config, rpc,
)  # fmt: skip


def main() -> None:
    corpus = Path(sys.argv[1]) if len(sys.argv) > 1 else CORPUS
    for made in TARGETS:
        folder = corpus / made.__name__
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        for name, content in made().items():
            (folder / name).write_bytes(content)


if __name__ == "__main__":
    main()
