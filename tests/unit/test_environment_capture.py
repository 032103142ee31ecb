"""What is recorded about a run's surroundings, and that no secret is."""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest
from capturing import Capturing

from contexta.config import UnifiedConfig
from contexta_client.capture import environment
from contexta_client.capture.git_revision import read_git
from contexta_client.capture.redaction import HIDDEN, is_secret_name, redact_arguments, redact_text

PATTERNS = UnifiedConfig().security.secret_names
SECRET = "s3cr3t-value-0123456789"


@pytest.mark.parametrize(
    "name", ["--token", "api_key", "API-KEY", "hf_token", "db.password", "aws_secret_access_key", "AUTHORIZATION"]
)
def test_names_of_secrets_are_known(name: str) -> None:
    assert is_secret_name(name, PATTERNS)


def test_a_pattern_means_names_with_dashes_and_with_underscores() -> None:
    assert is_secret_name("license-code", ["license_code"])
    assert is_secret_name("LICENSE_CODE", ["license-code"])


@pytest.mark.parametrize("name", ["--epochs", "lr", "monkey", "key", "model.path"])
def test_other_names_are_not(name: str) -> None:
    assert not is_secret_name(name, PATTERNS)
    assert is_secret_name(name, ["*" + name[-2:]])


@pytest.mark.parametrize(
    "arguments",
    [
        [f"--token={SECRET}"],
        ["--api-key", SECRET],
        ["--api_key", SECRET, "--epochs", "3"],
        [f"PASSWORD={SECRET}"],
        [f"+trainer.wandb_api_key={SECRET}"],
        [f"https://user:{SECRET}@example.com/x"],
        [f"--remote=https://{SECRET}@example.com/x.git"],
        [f"postgresql://u:{SECRET}@db/x?y=1"],
        [f"https://example.com/?a=1&access_token={SECRET}&b=2"],
        ["--header", f"Authorization: Bearer {SECRET}"],
        ["--x", "ghp_abcdefghijklmnopqrstuvwxyz0123456789"],
        ["--x=sk-abcdefghijklmnopqrstuvwx"],
        ["AKIAABCDEFGHIJKLMNOP"],
    ],
)
def test_no_secret_of_a_command_line_is_kept(arguments: list[str]) -> None:
    kept = redact_arguments(["train.py", *arguments, "--lr", "0.1"], PATTERNS)
    assert SECRET not in " ".join(kept)
    assert HIDDEN in " ".join(kept)
    assert "abcdefgh" not in " ".join(kept).lower()
    assert kept[0] == "train.py"
    assert kept[-2:] == ["--lr", "0.1"]


def test_an_ordinary_command_line_is_kept_as_it_is() -> None:
    arguments = [
        "train.py",
        "--epochs=3",
        "--lr",
        "0.1",
        "--data",
        "s3://bucket/x?part=1",
        "a=b",
        "--",
        "-x",
        "skip-me",
    ]
    assert redact_arguments(arguments, PATTERNS) == arguments
    assert redact_text("git@github.com:org/repo.git", PATTERNS) == "git@github.com:org/repo.git"


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        (["-c", SECRET, "x"], ["-c", "<program>", "x"]),
        (["-uc", SECRET, "-c", "x"], ["-uc", "<program>", "-c", "x"]),
        ([f"-c{SECRET}"], ["-c<program>"]),
        (["-u", "-Werror", "-X", "dev", f"-Ic{SECRET}"], ["-u", "-Werror", "-X", "dev", "-Ic<program>"]),
        (["-W", "-c", "-c", SECRET], ["-W", "-c", "-c", "<program>"]),
        (["--check-hash-based-pycs", "always", "-c", SECRET], ["--check-hash-based-pycs", "always", "-c", "<program>"]),
        (["-c"], ["-c"]),
        (["train.py", "-c", "config.yaml"], ["train.py", "-c", "config.yaml"]),
        (["-um", "pkg.train", "-c", "config.yaml"], ["-um", "pkg.train", "-c", "config.yaml"]),
        (["-", "-c", "config.yaml"], ["-", "-c", "config.yaml"]),
    ],
)
def test_the_text_of_a_program_is_not_recorded_and_the_options_of_a_script_are(
    monkeypatch: pytest.MonkeyPatch, given: list[str], kept: list[str]
) -> None:
    monkeypatch.setattr(sys, "orig_argv", ["python", *given])
    assert environment.command_line(PATTERNS) == ["python", *kept]


def test_packages_are_those_that_importlib_finds() -> None:
    found = environment.installed_packages(sys.path)
    for name in ("numpy", "pytest", "grpcio", "hypothesis"):
        assert found[name] == importlib.metadata.version(name)
    expected = {dist.metadata["Name"].lower().replace("_", "-") for dist in importlib.metadata.distributions()}
    assert {name.replace(".", "-") for name in expected} <= {name.replace(".", "-") for name in found}


def test_a_path_that_does_not_exist_has_no_packages(tmp_path: Path) -> None:
    (tmp_path / "a_b-1.0.dist-info").mkdir()
    (tmp_path / "old-2.0-py3.11.egg-info").touch()
    (tmp_path / "nonsense.dist-info").mkdir()
    assert environment.installed_packages([str(tmp_path), str(tmp_path / "absent")]) == {"a-b": "1.0", "old": "2.0"}


def test_the_platform_is_named_as_python_names_it() -> None:
    if sys.platform == "linux":
        assert environment.platform_text() == platform.platform()


def test_a_run_records_its_environment_once_without_secrets(
    capturing: Capturing, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "orig_argv", ["python", "train.py", "--token", SECRET])
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")
    monkeypatch.setenv("MY_TOKEN", SECRET)
    monkeypatch.setenv("OTHER", SECRET)
    recorder = capturing.recorder(environment=True, environment_variables=["CUDA_VISIBLE_DEVICES", "MY_TOKEN"])
    with recorder.run("env") as run:
        run.stage("train")
    content = capturing.one()
    (entry,) = content.of("environment")
    assert entry.ref == "environment:demo.env.runtime"
    assert entry.scope_id == content.scope(run.ref).scope_id
    assert entry.python_version == platform.python_version()
    assert json.loads(entry.command_json) == ["python", "train.py", "--token", HIDDEN]
    assert json.loads(entry.environment_variables_json) == {"CUDA_VISIBLE_DEVICES": "0,1", "MY_TOKEN": HIDDEN}
    assert json.loads(entry.packages_json)["numpy"]
    assert json.loads(entry.details_json)["cpu_count"] > 0
    for file in content.path.iterdir():
        assert SECRET.encode() not in file.read_bytes()


def test_a_ranked_worker_has_an_environment_of_its_own(capturing: Capturing) -> None:
    capturing.recorder(environment=True, packages=False, git=False, rank=2).run("env")
    (entry,) = capturing.one().of("environment")
    assert entry.ref == "environment:demo.env.runtime-rank-2"
    assert (entry.packages_json, entry.git_json) == ("", "")


def test_an_environment_that_cannot_be_read_does_not_keep_a_run_from_beginning(
    capturing: Capturing, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> str:
        raise RuntimeError

    monkeypatch.setattr(environment, "platform_text", fail)
    assert capturing.recorder(environment=True).run("env").metric("x", 1.0).ok
    assert not capturing.one().of("environment")


def git(folder: Path, *arguments: str) -> str:
    given = {"user.name": "n", "user.email": "e@x", "init.defaultBranch": "main", "commit.gpgsign": "false"}
    settings = [part for name, value in given.items() for part in ("-c", f"{name}={value}")]
    done = subprocess.run(["git", *settings, *arguments], cwd=folder, capture_output=True, text=True, check=True)
    return done.stdout.strip()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    folder = tmp_path / "repo"
    folder.mkdir()
    git(folder, "init", "-q")
    (folder / "train.py").write_text("print(1)\n")
    (folder / "sub").mkdir()
    (folder / "sub" / "naïve.txt").write_text("x")
    git(folder, "add", ".")
    git(folder, "commit", "-qm", "first")
    return folder


def test_the_revision_and_branch_are_those_that_git_tells(repository: Path) -> None:
    expected = {"branch": "main", "revision": git(repository, "rev-parse", "HEAD"), "dirty": False}
    assert read_git(repository) == expected
    assert read_git(repository / "sub") == expected
    git(repository, "pack-refs", "--all")
    assert read_git(repository) == expected
    git(repository, "checkout", "-q", "--detach")
    found = read_git(repository)
    assert found is not None
    assert "branch" not in found
    assert found["revision"] == expected["revision"]


def test_a_changed_a_staged_and_a_removed_file_make_it_dirty(repository: Path) -> None:
    file = repository / "train.py"
    original = file.read_text()

    def dirty() -> object:
        found = read_git(repository)
        assert found is not None
        return found.get("dirty")

    file.write_text("print(2)\n")  # of the same size
    assert dirty() is True
    git(repository, "add", ".")
    assert dirty() is not False  # staged: cannot be told from the files alone
    git(repository, "commit", "-qm", "second")
    assert dirty() is False
    file.write_text(original + "more")
    assert dirty() is True
    file.unlink()
    assert dirty() is True
    git(repository, "checkout", "-q", "--", ".")
    assert dirty() is False
    os.utime(file, ns=(1, 1))  # touched, but the same
    assert dirty() is False


def test_files_that_git_itself_does_not_look_at_make_nothing_dirty(repository: Path) -> None:
    git(repository, "sparse-checkout", "set", "--no-cone", "/train.py")
    assert not (repository / "sub").exists()
    assert read_git(repository)["dirty"] is False
    (repository / "train.py").write_text("print(2)\n")
    assert read_git(repository)["dirty"] is True
    git(repository, "update-index", "--assume-unchanged", "train.py")
    git(repository, "commit", "-q", "--allow-empty", "-m", "nothing is staged")
    assert git(repository, "status", "--porcelain") == ""
    assert read_git(repository)["dirty"] is False


def test_a_linked_worktree_and_an_unborn_branch_are_read(repository: Path, tmp_path: Path) -> None:
    git(repository, "worktree", "add", "-q", "-b", "other", str(tmp_path / "tree"))
    found = read_git(tmp_path / "tree")
    assert found is not None
    assert (found["branch"], found["revision"]) == ("other", git(repository, "rev-parse", "HEAD"))
    empty = tmp_path / "empty"
    empty.mkdir()
    git(empty, "init", "-q")
    assert read_git(empty) in ({"branch": "main"}, None)


def test_a_remote_is_told_and_its_password_is_not_recorded(
    repository: Path, capturing: Capturing, monkeypatch: pytest.MonkeyPatch
) -> None:
    git(repository, "remote", "add", "origin", f"https://user:{SECRET}@example.com/org/repo.git")
    monkeypatch.chdir(repository)
    recorder = capturing.recorder(environment=True)
    recorder.run("git")
    content = capturing.one()
    (entry,) = content.of("environment")
    found = json.loads(entry.git_json)
    assert found["remote"] == f"https://{HIDDEN}@example.com/org/repo.git"
    assert content.of("scope_opened")[0].code_revision == found["revision"]


def test_outside_a_repository_or_in_a_damaged_one_nothing_is_told(tmp_path: Path, repository: Path) -> None:
    assert read_git("/") is None
    (repository / ".git" / "index").write_bytes(b"DIRC\0\0\0\2\0\0\0\5garbage")
    found = read_git(repository)
    assert found is not None
    assert set(found) == {"branch", "revision"}
    (repository / ".git" / "HEAD").unlink()
    assert read_git(repository) is None
