"""Registering artifacts on scopes: what is known of the file at once, and what is refused."""

from __future__ import annotations

import json
import os
from pathlib import Path
from unittest import mock

import pytest
from capturing import Capturing

from contexta.capture import MemorySink
from contexta.contract.serialization import to_payload
from contexta.errors import ValidationError
from contexta_client.capture import artifact_registration


def test_a_file_is_registered_with_its_size_and_time_at_once(capturing: Capturing, tmp_path: Path) -> None:
    run = capturing.recorder().run("files")
    file = tmp_path / "model.bin"
    file.write_bytes(b"12345")
    with run.stage("train") as stage:
        result = stage.register_artifact("trained_model", file, attributes={"epochs": 2})
    manifest = result.payload["manifest"]
    assert manifest.artifact_ref.startswith("artifact:demo.files.trained-model-")
    assert manifest.location_ref == f"path:{file}"
    assert manifest.size_bytes == 5
    assert manifest.stage_execution_ref == "stage:demo.files.train"
    assert result.payload["binding_status"] == "BOUND"
    assert to_payload(manifest)["attributes"] == {"epochs": 2}
    (entry,) = capturing.one().of("artifact_registered")
    found = file.stat()
    assert (entry.size_bytes, entry.modified_ns, entry.inode) == (5, found.st_mtime_ns, found.st_ino)
    assert (entry.ref, entry.path, entry.exists, entry.compute_hash) == (manifest.artifact_ref, str(file), True, True)


def test_attributes_are_kept_as_they_were_at_the_call_with_texts_as_keys(capturing: Capturing, tmp_path: Path) -> None:
    memory = MemorySink()
    given: dict[object, object] = {1: "a", "epoch": 1, "deep": {2: [3]}}
    kept = {"1": "a", "epoch": 1, "deep": {"2": [3]}}
    for sinks in ([], [memory]):
        run = capturing.recorder(sinks=sinks).run("files")
        attributes = dict(given)
        result = run.register_artifact("folder", tmp_path, attributes=attributes)
        run.event("note", message="m", attributes=attributes, tags={1: "a"})
        run.metric("loss", 1.0, tags={1: "a"})
        attributes["epoch"] = 2
        assert to_payload(result.payload["manifest"])["attributes"] == kept
    for spool in capturing.read():
        for kind in ("artifact_registered", "event"):
            assert [json.loads(each.attributes_json) for each in spool.of(kind)] == [kept]
    (registered,) = memory.payloads("ARTIFACT")
    event, metric = memory.payloads("RECORD")
    assert to_payload(registered["manifest"])["attributes"] == kept
    assert to_payload(event)["payload"]["attributes"] == kept
    assert to_payload(metric)["payload"]["tags"] == {"1": "a"}


def test_a_missing_file_is_refused_unless_allowed_and_a_folder_is_taken(capturing: Capturing, tmp_path: Path) -> None:
    run = capturing.recorder().run("files")
    with pytest.raises(ValidationError, match="absent") as refused:
        run.register_artifact("model", tmp_path / "absent")
    assert refused.value.code == "artifact_missing"
    allowed = run.register_artifact("model", tmp_path / "absent", allow_missing=True)
    assert allowed.payload["source"] == {"exists": False, "kind": "PATH", "uri": str(tmp_path / "absent")}
    assert allowed.payload["binding_status"] == "PENDING"
    assert run.register_artifact("folder", tmp_path, artifact_ref="artifact:demo.files.mine").ok
    assert [each.exists for each in capturing.one().of("artifact_registered")] == [False, True]
    for wrong in (("Bad Kind", tmp_path), ("model", 3), ("model", ""), ("model", "a\0b"), ("model", "/dev/null")):
        with pytest.raises(ValidationError):
            run.register_artifact(*wrong)
    with pytest.raises(ValidationError, match=r"demo\.files"):
        run.register_artifact("model", tmp_path, artifact_ref="artifact:other.run.x")


@pytest.mark.parametrize("allow_missing", [False, True])
def test_a_path_that_is_not_utf8_is_refused_with_advice_and_not_taken_for_another(
    capturing: Capturing, tmp_path: Path, allow_missing: bool
) -> None:
    run = capturing.recorder().run("files")
    odd = os.fsencode(tmp_path) + b"/caf\xe9.bin"
    with open(odd, "wb") as file:  # noqa: PTH123 - a path of bytes
        file.write(b"12345")
    for path in (odd, os.fsdecode(odd), "\ud83d\ude00"):
        with pytest.raises(ValidationError, match="Rename") as refused:
            run.register_artifact("model", path, allow_missing=allow_missing)
        assert refused.value.code == "path_invalid"
    (tmp_path / "café.bin").symlink_to(os.fsdecode(odd))
    assert run.register_artifact("model", tmp_path / "café.bin").ok
    (entry,) = capturing.one().of("artifact_registered")
    assert (entry.path, entry.exists, entry.size_bytes) == (str(tmp_path / "café.bin"), True, 5)


def test_a_relative_path_is_of_the_working_folder(
    capturing: Capturing, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("here.txt").write_text("x")
    capturing.recorder().run("files").register_artifact("note", "here.txt")
    assert capturing.one().of("artifact_registered")[0].path == str(tmp_path / "here.txt")


def test_a_relative_path_in_a_folder_that_was_removed_is_refused_with_what_to_do(
    capturing: Capturing, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = capturing.recorder().run("files")
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    for allow_missing in (False, True):
        with pytest.raises(ValidationError, match="absolute path") as refused:
            run.register_artifact("note", "here.txt", allow_missing=allow_missing)
        assert refused.value.code == "path_invalid"


def test_a_file_of_a_time_that_cannot_be_recorded_is_registered_without_it(
    capturing: Capturing, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "later.bin"
    file.write_bytes(b"12345")
    found = file.stat()
    late = mock.Mock(wraps=found, st_mode=found.st_mode, st_size=5, st_ino=found.st_ino, st_mtime_ns=1 << 63)
    # Not every file system keeps such a time.
    monkeypatch.setattr(artifact_registration, "_stat", lambda path, allow_missing: late)
    run = capturing.recorder().run("files")
    assert run.register_artifact("model", file).ok
    (entry,) = capturing.one().of("artifact_registered")
    assert (entry.size_bytes, entry.modified_ns, entry.inode) == (5, 0, 0)
