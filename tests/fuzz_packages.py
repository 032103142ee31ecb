"""Fuzzing what comes from elsewhere as files: packages of artifacts, backups, configuration."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

from fuzz_spool import unpack_files

from contexta.config import UnifiedConfig, load_config
from contexta.errors import ConfigError, ContextaError
from contexta.store.artifacts import ArtifactStore, VaultConfig
from contexta_client.artifact_store.sealed_json import seal
from contexta_client.recovery.restore import plan_restore, restore_workspace


class _Around:
    """A folder in which nothing may change but below `into`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.given = folder / "deep" / "given"
        self.into = folder / "deep" / "into"

    def begin(self) -> None:
        shutil.rmtree(self._folder / "deep", ignore_errors=True)
        self.given.mkdir(parents=True)

    def outside(self) -> dict[str, bytes]:
        return {
            str(path): path.read_bytes() if path.is_file() else b""
            for path in self._folder.rglob("*")
            if path != self.into and self.into not in path.parents
        }

    def close(self) -> None:
        shutil.rmtree(self._folder, ignore_errors=True)


class Packages(_Around):
    """A package of any bytes, and one whose package.json says of itself that it is whole."""

    name = "package"

    def run(self, data: bytes) -> bool:
        self.begin()
        given = dict(unpack_files(data))
        for name in ("package.json", "manifest.json", "payload"):
            if name in given:
                content = _sealed(given[name], given, "name") if name == "package.json" else given[name]
                (self.given / name).write_bytes(content)
        before = self.outside()
        store = ArtifactStore(VaultConfig(root_path=self.into))
        taken = False
        with contextlib.suppress(ContextaError):
            store.import_export_package(self.given)
            taken = True
        assert self.outside() == before
        assert store.verify_all().intact
        assert bool(store.list_refs()) == taken
        assert store.inspect_store().incoming == 0
        return taken


class Backups(_Around):
    """A backup of any bytes, and one whose manifest is sealed and says the right sizes and hashes."""

    name = "backup"

    def run(self, data: bytes) -> bool:
        self.begin()
        given = dict(unpack_files(data))
        contents = {name.removeprefix("data/"): content for name, content in given.items() if name.startswith("data/")}
        for name, content in contents.items():
            path = self.given / "data" / name
            if ".." in name or name.startswith("/") or len(name) > 60:
                continue
            with contextlib.suppress(OSError):  # a file where a folder is, or no name at all
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content)
        if "manifest.json" in given:
            (self.given / "manifest.json").write_bytes(_sealed(given["manifest.json"], contents, "path"))
        before = self.outside()
        config = load_config(workspace=self._folder / "none", environ={})
        restored = None
        with contextlib.suppress(ContextaError):
            plan = plan_restore(config, self.given, target_workspace=self.into)
            restored = restore_workspace(config, plan)
        assert self.outside() == before
        assert self.into.exists() == (restored is not None)
        if restored is not None:
            self._check(plan.manifest.files)
        return restored is not None

    def _check(self, files: Any) -> None:
        made = {str(path.relative_to(self.into)): path for path in self.into.rglob("*") if path.is_file()}
        assert made.keys() == {each.path for each in files}
        for each in files:
            digest = sha256(made[each.path].read_bytes()).hexdigest()
            assert each.hash_value == f"sha256:{digest}"


def _sealed(data: bytes, contents: Mapping[str, bytes], named: str) -> bytes:
    """A document as it was given; or, where it is one, sealed, with right sizes and hashes where it says "right"."""
    try:
        values = json.loads(data)
        values.pop("check", None)
        for each in values.get("files", ()):
            content = contents.get(each.get(named))
            if content is not None and each.get("hash_value") == "right":
                each.update(size_bytes=len(content), hash_value=f"sha256:{sha256(content).hexdigest()}")
        return seal(values)
    except (ValueError, TypeError, AttributeError, RecursionError):
        return data


class Configs:
    """A TOML file and, behind zero bytes, variables NAME=VALUE: a configuration, or an error that says so."""

    name = "config"

    def __init__(self, folder: Path) -> None:
        self._path = folder / "contexta.toml"

    def run(self, data: bytes) -> bool:
        text, *pairs = data.split(b"\0")
        self._path.write_bytes(text)
        variables = dict(os.fsdecode(pair).partition("=")[::2] for pair in pairs)
        try:
            config = load_config(self._path, environ=variables)
        except ConfigError:
            return False
        assert UnifiedConfig.from_dict(config.to_dict()) == config
        return True

    def close(self) -> None:
        self._path.unlink(missing_ok=True)
