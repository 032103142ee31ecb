"""The OpenTelemetry sink; needs `pip install 'contexta[otel]'`."""

from __future__ import annotations

from importlib import import_module

TYPE_CHECKING = False
if TYPE_CHECKING:
    from contexta_client.adapters.otel import OTelSink as OTelSink

__all__ = ["OTelSink"]


def __getattr__(name: str) -> object:
    if name == "OTelSink":  # the code talks to a library, which this package does not
        return import_module("contexta_client.adapters.otel").OTelSink
    raise AttributeError(f"module 'contexta.adapters.otel' has no attribute {name!r}")
