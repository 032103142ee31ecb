"""What a run ran in: Python, platform, packages, git, command line, host, allowed variables. Secrets taken out.

All of it costs a few milliseconds at a run's beginning. Packages are read from the names of the `*.dist-info` and
`*.egg-info` entries on `sys.path`, which say name and version: importlib.metadata would open every one of them
(100 ms and more in a large environment, measured), and a list made later would be lost with a killed process.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import Any

from contexta.contract.json_text import dumps

from .distributed import Worker
from .git_revision import read_git
from .redaction import redact_arguments, redact_text, redact_variables

TYPE_CHECKING = False
if TYPE_CHECKING:
    from contexta.config import UnifiedConfig

MAX_ARGUMENTS = 1000
MAX_ARGUMENT_CHARS = 4096
PROGRAM = "<program>"  # stands for the text that `python -c` was given

_packages: dict[tuple[str, ...], dict[str, str]] = {}


def describe_environment(config: UnifiedConfig, worker: Worker) -> dict[str, str]:
    """Return the fields of an `environment` entry, except scope_id and ref. Parts that cannot be read are left out."""
    capture, patterns = config.capture, config.security.secret_names
    git = read_git(working_folder()) if capture.git else None
    if git is not None and "remote" in git:
        git["remote"] = redact_text(str(git["remote"]), patterns)
    return {
        "python_version": ".".join(map(str, sys.version_info[:3])),
        "platform": platform_text(),
        "host": host_name(),
        "packages_json": dumps(installed_packages(sys.path)) if capture.packages else "",
        "environment_variables_json": dumps(redact_variables(os.environ, capture.environment_variables, patterns)),
        "command_json": dumps(command_line(patterns)),
        "git_json": dumps(git) if git else "",
        "details_json": dumps(details(worker)),
    }


def platform_text() -> str:
    """Return the system, its release and machine, and the C library: `Linux-6.1.0-x86_64-with-glibc2.36`."""
    system = os.uname()
    text = f"{system.sysname}-{system.release}-{system.machine}"
    try:
        library = os.confstr("CS_GNU_LIBC_VERSION")
    except (ValueError, OSError, AttributeError):
        library = None
    return f"{text}-with-{library.replace(' ', '')}" if library else text


def host_name() -> str:
    """Return this machine's name."""
    return os.uname().nodename


def working_folder() -> str:
    """Return the working folder, empty when it was removed."""
    try:
        return str(os.getcwd())  # noqa: PTH109 - pathlib is no better at a folder that is gone
    except OSError:
        return ""


def command_line(patterns: Sequence[str]) -> list[str]:
    """Return how this process was started, without secrets and bounded in length."""
    arguments = (getattr(sys, "orig_argv", None) or [sys.executable, *sys.argv])[:MAX_ARGUMENTS]
    arguments = _without_program(arguments)
    return [argument[:MAX_ARGUMENT_CHARS] for argument in redact_arguments(arguments, patterns)]


def _without_program(arguments: Sequence[str]) -> list[str]:
    """Take out the text of `python -c`, also of `-uc` and `-cprint(1)`: it may hold anything. What stands behind the
    name of a script or module is the program's own."""
    kept = list(arguments)
    at = 1
    while at < len(kept) and kept[at].startswith("-") and kept[at] not in ("-", "--"):
        flags, letter, value = _option(kept[at])
        if letter == "m":
            break
        if letter == "c":
            if value:
                kept[at] = f"{flags}c{PROGRAM}"
            elif at + 1 < len(kept):
                kept[at + 1] = PROGRAM
            break
        at += 2 if letter and not value else 1
    return kept


def _option(argument: str) -> tuple[str, str, str]:
    """Return the flags before the option of the interpreter's that takes a value, its letter, and what is joined to it:
    `-uWerror` gives ("-u", "W", "error")."""
    if argument.startswith("--"):
        return argument, "-" if argument == "--check-hash-based-pycs" else "", ""
    at = next((at for at, letter in enumerate(argument) if letter in "cmWX"), len(argument))
    return argument[:at], argument[at : at + 1], argument[at + 1 :]


def details(worker: Worker) -> dict[str, Any]:
    """Return what else tells this process from others."""
    named: dict[str, Any] = {
        "python_executable": sys.executable,
        "python_implementation": sys.implementation.name,
        "working_folder": working_folder(),
        "cpu_count": os.cpu_count(),
        "pid": os.getpid(),
        "launcher": worker.launcher,
        "job_id": worker.job_id,
        "rank": worker.rank,
        "local_rank": worker.local_rank,
        "world_size": worker.world_size,
    }
    return {name: value for name, value in named.items() if value not in (None, "")}


def installed_packages(paths: Sequence[str]) -> dict[str, str]:
    """Return {name: version} of the packages on a path. The first found of a name counts, as for an import."""
    key = tuple(paths)
    known = _packages.get(key)
    if known is not None:
        return known
    found: dict[str, str] = {}
    for folder in dict.fromkeys(paths):
        try:
            with os.scandir(folder or ".") as entries:
                names = [entry.name for entry in entries]
        except OSError:
            continue
        for name in names:
            package = _package(name)
            if package is not None:
                found.setdefault(*package)
    return _packages.setdefault(key, dict(sorted(found.items())))


def _package(entry: str) -> tuple[str, str] | None:
    """Return name and version of an entry such as `scikit_learn-1.4.2.dist-info` or `x-1.0-py3.11.egg-info`."""
    stem, dot, kind = entry.rpartition(".")
    if not dot or kind not in ("dist-info", "egg-info"):
        return None
    parts = stem.split("-")
    if len(parts) < 2 or not parts[0]:
        return None
    return parts[0].replace("_", "-").lower(), parts[1]
