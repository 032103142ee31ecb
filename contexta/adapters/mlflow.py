"""The MLflow sink; needs `pip install 'contexta[mlflow]'`."""

from __future__ import annotations

from importlib import import_module

TYPE_CHECKING = False
if TYPE_CHECKING:
    from contexta_client.adapters.mlflow import MLflowSink as MLflowSink

__all__ = ["MLflowSink"]


def __getattr__(name: str) -> object:
    if name == "MLflowSink":  # the code talks to a library, which this package does not
        return import_module("contexta_client.adapters.mlflow").MLflowSink
    raise AttributeError(f"module 'contexta.adapters.mlflow' has no attribute {name!r}")
