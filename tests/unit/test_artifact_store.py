"""Artifacts on a plain folder: what is put is what is read, or an error says why not."""

from __future__ import annotations

import fcntl
import os
import stat
import subprocess
import sys
import threading
from hashlib import sha256
from pathlib import Path

import pytest

from contexta.contract import ArtifactManifest
from contexta.errors import ConfigError, ConflictError, ContextaError, NotFoundError, StorageError, ValidationError
from contexta.store.artifacts import ArtifactStore, VaultConfig
from contexta_client.artifact_store import content as content_reading
from contexta_client.artifact_store import vault

REF = "artifact:demo.fit.model-1"


def manifest(ref: str = REF, **fields: object) -> ArtifactManifest:
    run = ref.partition(":")[2].rpartition(".")[0]
    return ArtifactManifest.from_dict(
        {
            "artifact_ref": ref,
            "artifact_kind": "model",
            "created_at": "2026-01-31T09:00:00Z",
            "producer_ref": "tests",
            "run_ref": f"run:{run}",
            "location_ref": "path:/somewhere/model.bin",
            **fields,
        }
    )


@pytest.fixture
def store(tmp_path: Path) -> ArtifactStore:
    return ArtifactStore(VaultConfig(root_path=tmp_path / "vault"))


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "model.bin"
    path.write_bytes(b"weights" * 1000)
    return path


def digest(data: bytes) -> str:
    return "sha256:" + sha256(data).hexdigest()


def test_a_copied_artifact_is_read_back_in_every_way(store: ArtifactStore, source: Path) -> None:
    data = source.read_bytes()
    receipt = store.put_artifact(manifest(), source)
    assert (receipt.outcome, receipt.mode, receipt.size_bytes) == ("stored", "stored", len(data))
    assert receipt.hash_value == digest(data) == receipt.manifest.hash_value
    assert receipt.path.read_bytes() == source.read_bytes() == data
    assert store.get_artifact(REF).manifest.location_ref == f"path:{receipt.path}"
    assert store.read_artifact_bytes(REF) == data
    chunks = list(store.iter_artifact_chunks(REF, chunk_bytes=999))
    assert b"".join(chunks) == data
    assert {len(chunk) for chunk in chunks[:-1]} == {999}
    with store.open_artifact(REF) as file:
        assert file.read() == data
    assert store.artifact_exists(REF)
    assert store.list_refs() == [REF]
    assert store.verify_artifact(REF).intact
    assert store.verify_all().intact


def test_objects_lie_by_their_hash_and_only_for_their_owner(store: ArtifactStore, source: Path) -> None:
    receipt = store.put_artifact(manifest(), source)
    name = receipt.hash_value.removeprefix("sha256:")
    assert receipt.path == store.root_path / "objects" / "sha256" / name[:2] / name[2:]
    for path in [store.root_path, *store.root_path.rglob("*")]:
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600), path


def test_building_a_store_and_asking_it_makes_no_folder(store: ArtifactStore) -> None:
    assert store.list_refs() == []
    assert not store.artifact_exists(REF)
    assert len(store.verify_all()) == 0
    assert store.inspect_store().artifacts == 0
    assert not store.root_path.exists()


def test_equal_bytes_are_kept_once(store: ArtifactStore, source: Path) -> None:
    store.put_artifact(manifest(), source)
    receipt = store.put_artifact(manifest("artifact:demo.other.model-2"), source)
    assert receipt.outcome == "deduplicated"
    summary = store.inspect_store()
    assert (summary.artifacts, summary.objects, summary.object_bytes) == (2, 1, source.stat().st_size)


def test_a_moved_file_is_gone_from_its_place(store: ArtifactStore, source: Path) -> None:
    data, inode = source.read_bytes(), source.stat().st_ino
    receipt = store.put_artifact(manifest(), source, mode="move")
    assert not source.exists()
    assert store.read_artifact_bytes(REF) == data
    assert receipt.path.stat().st_ino == inode


def test_a_file_of_two_names_is_copied_when_moved_so_that_the_other_name_cannot_change_it(
    store: ArtifactStore, source: Path, tmp_path: Path
) -> None:
    os.link(source, tmp_path / "other-name")
    store.put_artifact(manifest(), source, mode="move")
    (tmp_path / "other-name").write_bytes(b"changed")
    assert not source.exists()
    assert store.verify_all().intact


def test_an_adopted_file_stays_and_its_change_is_noticed(store: ArtifactStore, source: Path) -> None:
    data = source.read_bytes()
    receipt = store.put_artifact(manifest(), source, mode="adopt")
    assert (receipt.outcome, receipt.mode, receipt.path) == ("adopted", "adopted", source)
    assert store.read_artifact_bytes(REF) == data
    assert store.inspect_store().objects == 0
    source.write_bytes(data[::-1])
    assert store.verify_artifact(REF).status == "changed"
    with pytest.raises(StorageError) as caught:
        store.read_artifact_bytes(REF)
    assert caught.value.code == "artifact_changed"
    source.unlink()
    assert not store.artifact_exists(REF)
    assert store.verify_artifact(REF).status == "missing"


def test_the_same_reference_takes_the_same_bytes_again_and_no_others(store: ArtifactStore, source: Path) -> None:
    store.put_artifact(manifest(attributes={"first": True}), source)
    assert store.put_artifact(manifest(), source).outcome == "unchanged"
    assert store.get_artifact(REF).manifest.attributes == {"first": True}
    before = source.read_bytes()
    source.write_bytes(b"other")
    with pytest.raises(ConflictError, match="other content"):
        store.put_artifact(manifest(), source, mode="move")
    assert source.read_bytes() == b"other"
    assert store.read_artifact_bytes(REF) == before
    assert store.put_artifact(manifest(), source, replace_existing=True).outcome == "replaced"
    assert store.read_artifact_bytes(REF) == b"other"
    assert store.inspect_store().unreferenced_objects == 1


@pytest.mark.parametrize("damage", [b"", b"weights", b"W" + b"eights" + b"weights" * 999])
def test_a_damaged_object_is_found_refused_and_healed_by_putting_it_again(
    store: ArtifactStore, source: Path, damage: bytes
) -> None:
    path = store.put_artifact(manifest(), source).path
    path.write_bytes(damage)
    (problem,) = store.verify_all().problems
    assert (problem.artifact_ref, problem.status) == (REF, "damaged")
    for read in (store.read_artifact_bytes, store.open_artifact, lambda ref: list(store.iter_artifact_chunks(ref))):
        with pytest.raises(StorageError) as caught:
            read(REF)
        assert caught.value.code == "artifact_damaged"
    store.put_artifact(manifest(), source)
    assert store.verify_all().intact


def test_the_last_chunk_of_damaged_bytes_is_never_given(store: ArtifactStore, source: Path) -> None:
    path = store.put_artifact(manifest(), source).path
    path.write_bytes(b"x" * 7000)
    given = []
    with pytest.raises(StorageError):
        given.extend(store.iter_artifact_chunks(REF, chunk_bytes=1000))
    assert sum(map(len, given)) < 7000


def test_a_binding_of_which_any_byte_changed_is_refused(store: ArtifactStore, source: Path) -> None:
    store.put_artifact(manifest(), source)
    path = store.root_path / "refs" / "demo" / "fit" / "model-1.json"
    whole = path.read_bytes()
    for place in range(len(whole) - 1):  # the last byte is the end of the line
        for changed in (whole[:place], whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :]):
            path.write_bytes(changed)
            try:
                assert store.get_artifact(REF).hash_value == store.get_artifact(REF).manifest.hash_value
                assert changed.split() == whole.split()  # only the space between words
            except ContextaError:
                continue
    path.write_bytes(b"{}")
    assert [each.status for each in store.verify_all().problems] == ["damaged"]
    assert store.inspect_store().damaged_bindings == 1
    store.put_artifact(manifest(), source, replace_existing=True)
    assert store.verify_all().intact


def test_a_file_that_changes_while_it_is_read_is_not_taken(
    store: ArtifactStore, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def reading(file: int):
        yield os.read(file, 10)
        with source.open("ab") as appended:
            appended.write(b"more")

    monkeypatch.setattr(content_reading, "blocks", reading)
    for mode in ("copy", "move", "adopt"):
        with pytest.raises(StorageError) as caught:
            store.put_artifact(manifest(), source, mode=mode)
        assert (caught.value.code, caught.value.retryable) == ("artifact_changing", True)
    assert store.list_refs() == []
    assert source.exists()
    assert store.inspect_store().incoming == 0


def test_what_cannot_be_put_says_why(store: ArtifactStore, source: Path, tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="no file"):
        store.put_artifact(manifest(), tmp_path / "absent")
    with pytest.raises(ValidationError, match="not an ordinary file"):
        store.put_artifact(manifest(), tmp_path)
    with pytest.raises(ValidationError, match="copy, move, adopt"):
        store.put_artifact(manifest(), source, mode="steal")
    for wrong in ({"hash_value": digest(b"other")}, {"size_bytes": 5}):
        with pytest.raises(ValidationError) as caught:
            store.put_artifact(manifest(**wrong), source)
        assert caught.value.code == "artifact_content_mismatch"
    (tmp_path / "link").symlink_to(source)
    with pytest.raises(ValidationError, match="link"):
        store.put_artifact(manifest(), tmp_path / "link", mode="move")
    small = ArtifactStore(VaultConfig(root_path=tmp_path / "small", max_artifact_bytes=10))
    with pytest.raises(ValidationError, match="at most 10"):
        small.put_artifact(manifest(), source)
    kept = store.put_artifact(manifest(), source).path
    with pytest.raises(ValidationError, match="in the store itself"):
        store.put_artifact(manifest("artifact:demo.fit.again"), kept, mode="move")
    with pytest.raises(NotFoundError, match="model-1"):
        store.get_artifact("artifact:demo.fit.model-2")
    with pytest.raises(ValidationError):
        store.get_artifact("artifact:../../etc/passwd")
    with pytest.raises(ValidationError, match="1 or more"):
        store.iter_artifact_chunks(REF, chunk_bytes=0)
    with pytest.raises(ConfigError):
        VaultConfig(root_path="")


def test_a_store_of_a_newer_version_is_left_alone(store: ArtifactStore, source: Path) -> None:
    store.put_artifact(manifest(), source)
    note = store.root_path / "store.json"
    note.write_text(note.read_text().replace('"version": 1', '"version": 2'))
    for call in (lambda: store.put_artifact(manifest(), source), lambda: store.get_artifact(REF), store.list_refs):
        with pytest.raises(ContextaError) as caught:
            call()
        assert caught.value.code == "format_unsupported"


def test_a_store_where_nothing_may_be_written_says_so(tmp_path: Path, source: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    store = ArtifactStore(VaultConfig(root_path=tmp_path / "file" / "vault"))
    with pytest.raises(StorageError, match="cannot be used"):
        store.put_artifact(manifest(), source)


def test_objects_of_the_daemon_are_verified_though_no_reference_names_them(store: ArtifactStore, source: Path) -> None:
    path = store.put_artifact(manifest(), source).path
    (store.root_path / "refs" / "demo" / "fit" / "model-1.json").unlink()
    assert len(store.verify_all()) == 1
    path.write_bytes(b"damaged")
    (problem,) = store.verify_all().problems
    assert problem.artifact_ref.startswith("sha256:")


def test_several_processes_put_at_once_and_nothing_is_lost_or_mixed(store: ArtifactStore, tmp_path: Path) -> None:
    script = f"""
import sys
from pathlib import Path
sys.path[:0] = [{str(Path(__file__).parent)!r}]
from test_artifact_store import ArtifactStore, VaultConfig, manifest
store = ArtifactStore(VaultConfig(root_path={str(store.root_path)!r}))
own = Path({str(tmp_path)!r}, sys.argv[1])
sys.stdin.readline()
for number in range(15):
    own.write_bytes(b"shared %d" % number)
    store.put_artifact(manifest(f"artifact:demo.shared.a-{{number}}"), own)
    own.write_bytes(sys.argv[1].encode() * (number + 1))
    store.put_artifact(manifest(f"artifact:demo.{{sys.argv[1]}}.a-{{number}}"), own, mode="move")
"""
    processes = [
        subprocess.Popen([sys.executable, "-c", script, name], stdin=subprocess.PIPE, text=True) for name in "abc"
    ]
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    assert [process.wait(60) for process in processes] == [0, 0, 0]
    for process in processes:
        assert process.stdin is not None
        process.stdin.close()
    assert len(store.list_refs()) == 60
    assert store.read_artifact_bytes("artifact:demo.b.a-4") == b"bbbbb"
    assert store.verify_all().intact
    assert store.inspect_store().incoming == 0


def test_of_two_that_put_other_bytes_under_one_reference_at_once_one_is_refused(
    store: ArtifactStore, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other_source = tmp_path / "other.bin"
    other_source.write_bytes(b"other")
    there, refused = threading.Event(), []
    encode, flock = vault.encode_binding, fcntl.flock

    def put_other() -> None:
        try:
            store.put_artifact(manifest(), other_source)
        except ConflictError as error:
            refused.append(error)
        there.set()

    def noted(descriptor: int, how: int) -> None:
        if threading.current_thread() is other:
            there.set()
        flock(descriptor, how)

    def encoded(binding: vault.Binding) -> bytes:
        if threading.current_thread() is not other and not there.is_set():
            other.start()  # the first is about to write
            assert there.wait(30)
        return encode(binding)

    other = threading.Thread(target=put_other)
    monkeypatch.setattr(vault, "encode_binding", encoded)
    monkeypatch.setattr(fcntl, "flock", noted)
    store.put_artifact(manifest(), source)
    other.join()
    assert len(refused) == 1
    assert store.read_artifact_bytes(REF) == source.read_bytes()


def test_what_a_crash_left_unfinished_is_removed_a_day_later(
    store: ArtifactStore, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.put_artifact(manifest(), source)
    left = store.root_path / "incoming" / "1-dead"
    left.write_bytes(b"half")
    store.put_artifact(manifest(), source)
    assert left.exists()
    monkeypatch.setattr("contexta_client.artifact_store.vault.STALE_INCOMING_S", -1)
    store.put_artifact(manifest("artifact:demo.fit.next"), source, mode="adopt")
    assert not left.exists()
