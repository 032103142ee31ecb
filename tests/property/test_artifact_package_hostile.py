"""Whatever a package says, importing it writes nothing outside the store, and takes in only what it says."""

from __future__ import annotations

import json
import shutil
import tempfile
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contexta.contract import ArtifactManifest
from contexta.errors import ContextaError
from contexta.store.artifacts import ArtifactStore, VaultConfig
from contexta_client.artifact_store.sealed_json import seal, unseal

REF = "artifact:demo.fit.model-1"
PIECES = st.sampled_from(["..", ".", "", "/", "payload", "manifest.json", "package.json", "~", "\0", "a\\b", "C:", "é"])
NAMES = st.lists(PIECES, min_size=1, max_size=6).map("/".join) | st.text(st.characters(), max_size=30)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(st.characters(exclude_categories=["Cs"]), max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)


def everything_below(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): sha256(path.read_bytes()).hexdigest() if path.is_file() else ""
        for path in folder.rglob("*")
    }


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A package that is right."""
    folder = tmp_path_factory.mktemp("made")
    (folder / "payload.bin").write_bytes(b"weights" * 50)
    store = ArtifactStore(VaultConfig(root_path=folder / "store"))
    manifest = ArtifactManifest(
        artifact_ref=REF,
        artifact_kind="model",
        created_at="2026-01-31T09:00:00Z",
        producer_ref="tests",
        run_ref="run:demo.fit",
        location_ref="path:/x",
    )
    store.put_artifact(manifest, folder / "payload.bin")
    return store.export_artifact(REF, export_root=folder / "exports").export_directory


def imported(whole: Path, package_json: bytes, *, payload: bytes | None = None, manifest: bytes | None = None) -> bool:
    """Import a changed package; whether it was taken. Fails when anything outside the store changed."""
    with tempfile.TemporaryDirectory() as name:
        around = Path(name)
        package = around / "deep" / "deeper" / "package"
        shutil.copytree(whole, package)
        (package / "package.json").write_bytes(package_json)
        if payload is not None:
            (package / "payload").write_bytes(payload)
        if manifest is not None:
            (package / "manifest.json").write_bytes(manifest)
        before = everything_below(around)
        store = ArtifactStore(VaultConfig(root_path=around / "deep" / "store"))
        try:
            store.import_export_package(package)
            taken = True
        except ContextaError:
            taken = False
        after = everything_below(around)
        outside = {path: value for path, value in after.items() if not path.startswith("deep/store")}
        assert outside == before
        assert store.verify_all().intact
        assert bool(store.list_refs()) == taken
        assert store.inspect_store().incoming == 0
        return taken


def values_of(whole: Path) -> dict[str, Any]:
    return json.loads((whole / "package.json").read_bytes())


def test_the_package_itself_is_taken(whole: Path) -> None:
    assert imported(whole, (whole / "package.json").read_bytes())


@settings(max_examples=100, deadline=None)
@given(name=NAMES, which=st.sampled_from([0, 1]))
def test_no_name_leads_out_of_the_package(whole: Path, name: str, which: int) -> None:
    values = values_of(whole)
    said = values["files"][which]["name"]
    values["files"][which]["name"] = name
    assert imported(whole, seal(values)) == (name == said)


@settings(max_examples=60, deadline=None)
@given(field=st.sampled_from(["format", "version", "artifact_ref", "files"]), value=JSON)
def test_no_value_of_a_field_is_believed(whole: Path, field: str, value: object) -> None:
    values = values_of(whole)
    same = values[field] == value and type(values[field]) is type(value)
    values[field] = value
    assert imported(whole, seal(values)) == same


@settings(max_examples=60, deadline=None)
@given(
    size=st.integers(-(2**70), 2**70) | JSON,
    digest=st.text(st.sampled_from("0123456789abcdef/."), max_size=66).map("sha256:".__add__) | JSON,
)
def test_sizes_and_hashes_must_be_those_of_the_files(whole: Path, size: object, digest: object) -> None:
    for name, value in (("size_bytes", size), ("hash_value", digest)):
        values = values_of(whole)
        values["files"][1][name] = value
        assert not imported(whole, seal(values))


@settings(max_examples=60, deadline=None)
@given(ref=NAMES.map("artifact:".__add__))
def test_a_manifest_of_a_hostile_reference_is_refused(whole: Path, ref: str) -> None:
    text = (whole / "manifest.json").read_text()
    manifest = json.dumps({**json.loads(text), "artifact_ref": ref}).encode()
    values = values_of(whole)
    values["artifact_ref"] = ref
    values["files"][0].update(size_bytes=len(manifest), hash_value="sha256:" + sha256(manifest).hexdigest())
    assert not imported(whole, seal(values), manifest=manifest)


@settings(max_examples=60, deadline=None)
@given(data=st.binary(max_size=400))
def test_other_bytes_than_those_named_are_refused(whole: Path, data: bytes) -> None:
    package = (whole / "package.json").read_bytes()
    assert not imported(whole, package, payload=data)
    assert not imported(whole, data)


@settings(max_examples=100, deadline=None)
@given(values=st.dictionaries(st.text(max_size=8).filter(lambda name: name != "check"), JSON, max_size=5))
def test_a_sealed_document_gives_back_its_values(values: dict[str, Any]) -> None:
    values = {**values, "format": "x", "version": 1}
    assert unseal(seal(values), format_name="x", version=1, where="here") == values
