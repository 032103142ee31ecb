"""Errors carry what programs need, and importing the package costs next to nothing."""

from __future__ import annotations

import pickle
import subprocess
import sys

import pytest

import contexta
from contexta import errors
from contexta.errors import ContextaError, DeadlineError, NotFoundError, ValidationError, error_from_code

KINDS = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, ContextaError)]
HEAVY = {"grpc", "google", "numpy", "duckdb", "asyncio", "socket", "threading", "ssl", "sqlite3", "multiprocessing"}


def modules_after(code: str) -> set[str]:
    """Return the names of the modules that a fresh interpreter has after running some code."""
    script = f"import sys; sys.path[:0] = {sys.path!r}\n{code}\nprint('\\n'.join(sys.modules))"
    done = subprocess.run([sys.executable, "-I", "-c", script], capture_output=True, text=True, timeout=60, check=True)
    return set(done.stdout.split())


@pytest.mark.parametrize("kind", KINDS)
def test_every_error_keeps_its_fields_and_can_be_pickled(kind: type[ContextaError]) -> None:
    error = kind("what happened", details={"key": "x"}, retryable=True, code="own_code")
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is kind
    assert str(again) == again.message == "what happened"
    assert (again.code, again.details, again.retryable) == ("own_code", {"key": "x"}, True)


def test_every_kind_has_a_code_of_its_own() -> None:
    codes = [kind.default_code for kind in KINDS]
    assert len(set(codes)) == len(codes)


def test_an_error_keeps_its_cause_and_tells_programs_what_they_need() -> None:
    cause = OSError("disk")
    error = errors.StorageError("cannot write", cause=cause)
    assert error.__cause__ is cause
    assert error.to_dict() == {
        "error": "StorageError",
        "code": "storage_failed",
        "message": "cannot write",
        "details": {},
        "retryable": False,
    }


def test_errors_are_what_python_would_call_them() -> None:
    assert issubclass(ValidationError, ValueError)
    assert issubclass(DeadlineError, TimeoutError)
    assert issubclass(NotFoundError, LookupError)


def test_a_code_from_the_wire_becomes_the_kind_that_belongs_to_it() -> None:
    assert type(error_from_code("not_found", "no run")) is NotFoundError
    unknown = error_from_code("of_tomorrow", "something", retryable=True)
    assert type(unknown) is ContextaError
    assert (unknown.code, unknown.retryable) == ("of_tomorrow", True)


def test_the_package_has_its_public_names() -> None:
    assert set(contexta.__all__) <= set(dir(contexta))
    assert contexta.ContextaError is ContextaError
    assert contexta.__version__
    with pytest.raises(AttributeError, match="Contexto"):
        contexta.Contexto  # noqa: B018


def test_windows_is_refused_when_the_facade_is_asked_for_and_not_before(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(vars(contexta), "Contexta", raising=False)
    monkeypatch.setattr(sys, "platform", "win32")
    with pytest.raises(errors.PlatformError, match="WSL"):
        contexta.Contexta  # noqa: B018


def test_importing_the_package_imports_nothing_else() -> None:
    loaded = modules_after("import contexta")
    assert {name for name in loaded if name.startswith("contexta")} == {"contexta", "contexta._version"}
    assert not loaded & {"typing", "dataclasses", "json", *HEAVY}


def test_what_capture_needs_imports_no_heavy_module() -> None:
    loaded = modules_after(
        "import contexta.config, contexta.capture.results, contexta.capture.emissions, contexta.capture.sinks\n"
        "import contexta.contract.json_text, contexta.contract.references, contexta.contract.keys\n"
        "contexta.config.load_config()"
    )
    assert not loaded & {*HEAVY, "tomllib", "difflib", "contexta.contract.model", "contexta.contract.entities"}


def test_the_models_and_the_shapes_import_no_heavy_module() -> None:
    loaded = modules_after(
        "import contexta.contract, contexta.interpretation\n"
        "for package in (contexta.contract, contexta.interpretation):\n"
        "    for name in package.__all__: getattr(package, name)\n"
        "import contexta.interpretation.downsample"
    )
    assert not loaded & HEAVY
