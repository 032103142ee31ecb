"""Where configuration comes from: later sources win, and mistakes name their source's own words."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from contexta.config import UnifiedConfig, load_config, load_profile
from contexta.config.loading import RESERVED, variables_of_keys
from contexta.errors import ConfigError


def test_later_sources_win(tmp_path: Path) -> None:
    file = tmp_path / "contexta.toml"
    file.write_text('project_name = "file"\n[capture]\nspool_bytes = "2MiB"\non_full = "block"\n[daemon]\nnice = 3\n')
    variables = {"CONTEXTA_CAPTURE__SPOOL_BYTES": "3MiB", "CONTEXTA_CAPTURE__ON_FULL": "drop_newest"}
    config = load_config(file, profile="test", environ=variables, patch={"capture": {"spool_bytes": 4 << 20}})
    assert config.records.durability == "none"  # the profile
    assert (config.project_name, config.daemon.nice) == ("file", 3)
    assert config.capture.on_full == "drop_newest"  # the variable over the file
    assert config.capture.spool_bytes == 4 << 20  # the code over all


def test_without_any_source_the_defaults_hold() -> None:
    assert load_config(environ={}) == UnifiedConfig()


def test_a_complete_configuration_is_returned_as_it_is_but_for_the_workspace() -> None:
    given = UnifiedConfig(project_name="churn")
    assert load_config(patch=given, environ={"CONTEXTA_PROJECT_NAME": "other"}) is given
    assert load_config(patch=given, workspace="/data/w").workspace.cache_path == Path("/data/w/cache")


def test_the_workspace_in_code_wins_over_a_variable() -> None:
    variables = {"CONTEXTA_WORKSPACE__ROOT_PATH": "/from/variable"}
    assert load_config(environ=variables).workspace.records_path == Path("/from/variable/records")
    assert load_config(environ=variables, workspace="w").workspace.root_path == Path("w")


def test_a_workspace_may_lie_in_the_home_folder_and_must_be_a_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/of/somebody")
    assert load_config(workspace="~/runs", environ={}).workspace.root_path == Path("/home/of/somebody/runs")
    assert load_config(workspace="~runs", environ={}).workspace.root_path == Path("~runs")
    with pytest.raises(ConfigError, match=r"workspace\.root_path"):
        load_config(workspace=3, environ={})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "value"), [("true", True), ("1", True), ("YES", True), ("off", False), ("0", False), ("False", False)]
)
def test_a_variable_of_truth_is_read(text: str, value: bool) -> None:
    assert load_config(environ={"CONTEXTA_CAPTURE__GIT": text}).capture.git is value


def test_variables_of_every_kind_are_read() -> None:
    config = load_config(
        environ={
            "CONTEXTA_PROJECT_NAME": "iris",
            "CONTEXTA_DAEMON__IDLE_TIMEOUT_S": "1.5",
            "CONTEXTA_DAEMON__NICE": "4",
            "CONTEXTA_CAPTURE__ENVIRONMENT_VARIABLES": "A, B,",
            "CONTEXTA_CAPTURE__RANK": "",
            "CONTEXTA_CAPTURE__WORLD_SIZE": "8",
        }
    )
    assert config.project_name == "iris"
    assert config.daemon.idle_timeout_s == 1.5
    assert config.daemon.nice == 4
    assert config.capture.environment_variables == ("A", "B")
    assert config.capture.rank is None
    assert config.capture.world_size == 8


def test_variables_that_are_no_configuration_are_ignored() -> None:
    variables = dict.fromkeys(RESERVED - {"CONTEXTA_CONFIG_FILE"}, "x")
    assert load_config(environ={**variables, "PATH": "/bin", "CONTEXTAX": "1"}) == UnifiedConfig()


def test_a_mistaken_variable_is_refused_and_the_nearest_named() -> None:
    with pytest.raises(ConfigError, match="CONTEXTA_CAPTURE__SPOOL_BYTES"):
        load_config(environ={"CONTEXTA_CAPTURE__SPOOL_BTES": "1"})
    with pytest.raises(ConfigError):
        load_config(environ={"CONTEXTA_CAPTURE": "1"})


def test_a_variable_with_a_wrong_value_is_refused_by_its_own_name() -> None:
    with pytest.raises(ConfigError, match="CONTEXTA_CAPTURE__GIT"):
        load_config(environ={"CONTEXTA_CAPTURE__GIT": "perhaps"})
    with pytest.raises(ConfigError, match="CONTEXTA_DAEMON__NICE"):
        load_config(environ={"CONTEXTA_DAEMON__NICE": "low"})


def test_every_key_but_the_parts_has_a_variable() -> None:
    values = UnifiedConfig().to_dict()
    keys = sum(len(value) if isinstance(value, dict) else 1 for value in values.values())
    assert len(variables_of_keys()) == keys


def test_a_file_may_be_named_by_a_variable(tmp_path: Path) -> None:
    file = tmp_path / "c.toml"
    file.write_text('project_name = "file"\nprofile_name = "test+debug"\n')
    config = load_config(environ={"CONTEXTA_CONFIG_FILE": str(file)})
    assert config.project_name == "file"
    assert config.profile_name == "test+debug"
    assert config.records.durability == "none"
    assert config.capture.on_full == "block"


@pytest.mark.parametrize("content", [b"project_name = ", b"\xff\xfe", b"[capture]\nspol_bytes = 1\n", b"[captur]\n"])
def test_a_file_that_cannot_be_used_is_refused(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "c.toml"
    file.write_bytes(content)
    with pytest.raises(ConfigError):
        load_config(file, environ={})


def test_a_file_that_is_missing_is_refused_naming_it(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="absent") as caught:
        load_config(tmp_path / "absent.toml", environ={})
    assert caught.value.code == "config_file_unreadable"


@pytest.mark.parametrize("overlay", ["debug", "ci", "readonly", "forensic"])
@pytest.mark.parametrize("profile", ["local", "test"])
def test_every_profile_takes_every_overlay(profile: str, overlay: str) -> None:
    config = load_profile(f"{profile}+{overlay}")
    assert config.profile_name == f"{profile}+{overlay}"
    assert config == load_profile(profile, overlays=(overlay,))
    assert UnifiedConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config


@pytest.mark.parametrize("name", ["loca", "local+debg", "", "debug", "local+"])
def test_an_unknown_profile_or_overlay_is_refused(name: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_profile(name)
    assert caught.value.code == "config_unknown_profile"
