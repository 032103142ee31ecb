"""Local-first observability for ML runs.

    from contexta import Contexta

    ctx = Contexta(config={"project_name": "iris-svm"})
    with ctx.run("linear-svm") as run, run.stage("train") as stage:
        stage.metric("loss", 0.3, step=1)

Importing this package imports nothing else: names are resolved when they are first used.
"""

from __future__ import annotations

from ._version import __version__

TYPE_CHECKING = False
if TYPE_CHECKING:
    from contexta_client.facade import Contexta as Contexta

    from .errors import ContextaError as ContextaError

__all__ = ["Contexta", "ContextaError", "__version__"]


def __getattr__(name: str) -> object:
    if name == "Contexta":
        _refuse_windows()
        from contexta_client.facade import Contexta

        globals()[name] = Contexta
        return Contexta
    if name == "ContextaError":
        from .errors import ContextaError

        globals()[name] = ContextaError
        return ContextaError
    raise AttributeError(f"module 'contexta' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


def _refuse_windows() -> None:
    import sys

    platform: str = sys.platform  # a plain str, so that type checkers look at both branches
    if platform == "win32":
        from .errors import PlatformError

        raise PlatformError(
            "Contexta does not run on Windows itself: it needs Unix sockets and file locks. "
            "Use it under WSL 2, Linux or macOS.",
            details={"platform": platform},
        )
