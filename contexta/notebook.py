"""What `ctx.notebook` is: runs, comparisons, trends and frames where a notebook shows them."""

from __future__ import annotations

from importlib import import_module

TYPE_CHECKING = False
if TYPE_CHECKING:
    from contexta_client.notebook import Notebook as Notebook
    from contexta_client.notebook import Shown as Shown

__all__ = ["Notebook", "Shown"]


def __getattr__(name: str) -> object:
    if name in __all__:
        return getattr(import_module("contexta_client.notebook"), name)
    raise AttributeError(f"module 'contexta.notebook' has no attribute {name!r}")
