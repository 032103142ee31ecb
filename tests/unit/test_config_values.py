"""Configuration: what a key takes, and what is said when it cannot."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from contexta.config import CaptureConfig, UnifiedConfig, WorkspaceConfig, make_local_config, make_test_config
from contexta.errors import ConfigError


def test_the_defaults_are_the_documented_ones() -> None:
    config = UnifiedConfig()
    assert config.project_name == "default"
    assert config.workspace.root_path == Path(".contexta")
    assert config.capture.local_jsonl is True
    assert config.capture.spool_bytes == 64 << 20
    assert config.capture.on_full == "drop_newest"
    assert config.records.durability == "fsync"
    assert config.daemon.idle_timeout_s == 900
    assert config.daemon.autostart is True
    assert config.artifacts.mode == "adopt"


def test_a_configuration_is_built_from_a_name_and_a_workspace() -> None:
    config = UnifiedConfig(project_name="churn", workspace=WorkspaceConfig(root_path=Path("/data/w")))
    assert config.workspace.cache_path == Path("/data/w/cache")
    assert config.workspace.metadata_path == Path("/data/w/metadata")


def test_a_configuration_never_changes() -> None:
    with pytest.raises(AttributeError):
        UnifiedConfig().project_name = "x"  # type: ignore[misc]
    with pytest.raises(AttributeError):
        UnifiedConfig().capture.spool_bytes = 1  # type: ignore[misc]


def test_a_configuration_comes_back_from_plain_values() -> None:
    config = UnifiedConfig(capture=CaptureConfig(environment_variables=("A", "B"), rank=3))
    plain = config.to_dict()
    assert plain["workspace"]["root_path"] == ".contexta"
    assert plain["capture"]["environment_variables"] == ["A", "B"]
    again = UnifiedConfig.from_dict(plain)
    assert again == config
    assert hash(again) == hash(config)
    assert again != UnifiedConfig()


def test_a_patch_changes_only_what_it_names() -> None:
    config = UnifiedConfig().patched({"project_name": "iris", "capture": {"spool_bytes": "128MiB"}})
    assert config.project_name == "iris"
    assert config.capture.spool_bytes == 128 << 20
    assert config.capture.on_full == "drop_newest"


def test_paths_follow_a_new_root_unless_they_were_set() -> None:
    config = UnifiedConfig(workspace=WorkspaceConfig(cache_path=Path("/fast/cache")))
    moved = config.patched({"workspace": {"root_path": "/data/w"}}).workspace
    assert moved.records_path == Path("/data/w/records")
    assert moved.cache_path == Path("/fast/cache")


@pytest.mark.parametrize(
    ("patch", "key", "nearest"),
    [
        ({"project_nam": "x"}, "project_nam", "project_name"),
        ({"captur": {}}, "captur", "capture"),
        ({"capture": {"spol_bytes": 1}}, "capture.spol_bytes", "capture.spool_bytes"),
        ({"daemon": {"idle_timeout": 1}}, "daemon.idle_timeout", "daemon.idle_timeout_s"),
    ],
)
def test_an_unknown_key_is_refused_and_the_nearest_named(patch: dict[str, Any], key: str, nearest: str) -> None:
    with pytest.raises(ConfigError) as caught:
        UnifiedConfig().patched(patch)
    assert caught.value.code == "config_unknown_key"
    assert repr(key) in caught.value.message
    assert repr(nearest) in caught.value.message


@pytest.mark.parametrize(
    ("section", "key", "value", "expected"),
    [
        ("capture", "spool_bytes", "many", "bytes"),
        ("capture", "spool_bytes", 10, "at least 1048576"),
        ("capture", "spool_bytes", True, "bytes"),
        ("capture", "spool_bytes", 2.5e8, "bytes"),
        ("capture", "on_full", "drop_oldest", "'drop_newest' or 'block'"),
        ("capture", "local_jsonl", "yes", "true or false"),
        ("capture", "rank", "0", "or nothing"),
        ("capture", "rank", -1, "at least 0"),
        ("capture", "environment_variables", "PATH", "a list of texts"),
        ("capture", "environment_variables", [1], "a list of texts"),
        ("capture", "exit_timeout_s", float("nan"), "a number"),
        ("capture", "exit_timeout_s", None, "a number"),
        ("records", "durability", "always", "'fsync' or 'interval' or 'none'"),
        ("workspace", "root_path", "", "a path"),
        ("workspace", "root_path", 3, "a path"),
        ("daemon", "idle_timeout_s", -1, "at least 0"),
        ("daemon", "nice", 1.5, "a whole number"),
    ],
)
def test_a_wrong_value_is_refused_naming_key_value_and_what_is_expected(
    section: str, key: str, value: object, expected: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        UnifiedConfig().patched({section: {key: value}})
    assert caught.value.code == "config_wrong_value"
    assert f"'{section}.{key}'" in caught.value.message
    assert repr(value) in caught.value.message
    assert expected in caught.value.message


@pytest.mark.parametrize(
    "patch", [{"capture": 3}, {"workspace": ".contexta"}, {"project_name": 3}, {"project_name": None}]
)
def test_a_part_given_as_something_else_is_refused(patch: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        UnifiedConfig().patched(patch)


def test_a_patch_that_is_no_mapping_is_refused() -> None:
    with pytest.raises(ConfigError, match="nested mapping"):
        UnifiedConfig().patched("project")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "size"), [("64MiB", 64 << 20), ("2 GB", 2 * 10**9), ("1048576", 1 << 20), ("4TiB", 4 << 40)]
)
def test_a_size_may_be_written_with_its_unit(text: str, size: int) -> None:
    assert UnifiedConfig().patched({"capture": {"spool_bytes": text}}).capture.spool_bytes == size


def test_a_test_configuration_is_quick_and_a_local_one_is_durable(tmp_path: Path) -> None:
    quick = make_test_config(tmp_path / "w")
    assert quick.profile_name == "test"
    assert quick.records.durability == "none"
    assert quick.workspace.root_path == tmp_path / "w"
    local = make_local_config(tmp_path / "w", project_name="iris")
    assert local.records.durability == "fsync"
    assert local.project_name == "iris"
