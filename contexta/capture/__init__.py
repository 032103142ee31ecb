"""What capture calls take and return, and the sinks. Names are imported when they are first used."""

from __future__ import annotations

from .._lazy import lazy_names

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .emissions import ArtifactRegistrationEmission, Emission, EventEmission, MetricEmission, SpanEmission
    from .results import SUCCESS, BatchCaptureResult, CaptureResult, PayloadFamily
    from .sinks import LocalJsonlSink, MemorySink, MirroredJsonlSink, Sink, StdoutSink

__all__ = [
    "SUCCESS",
    "ArtifactRegistrationEmission",
    "BatchCaptureResult",
    "CaptureResult",
    "Emission",
    "EventEmission",
    "LocalJsonlSink",
    "MemorySink",
    "MetricEmission",
    "MirroredJsonlSink",
    "PayloadFamily",
    "Sink",
    "SpanEmission",
    "StdoutSink",
]

_HOMES = {
    **dict.fromkeys(
        ("ArtifactRegistrationEmission", "Emission", "EventEmission", "MetricEmission", "SpanEmission"), "emissions"
    ),
    **dict.fromkeys(("SUCCESS", "BatchCaptureResult", "CaptureResult", "PayloadFamily"), "results"),
    **dict.fromkeys(("LocalJsonlSink", "MemorySink", "MirroredJsonlSink", "Sink", "StdoutSink"), "sinks"),
}

__getattr__, __dir__ = lazy_names(__name__, _HOMES)
