"""What is captured, as OpenTelemetry metrics and spans.

A metric becomes a gauge of its key, which is an attribute, too, because names of instruments know fewer characters. A
span becomes a span with its own times, an event (and a degraded record) an event of the span that is current, or else a
span of no length. Attributes say the run, stage, batch and rank.
"""

from __future__ import annotations

from typing import Any

from contexta.capture.results import PayloadFamily
from contexta.contract.times import parse_ns

from .payloads import cleaned, missing, plain, where

SCOPE = "contexta"
MAX_NAME = 255
MAX_UNIT = 63  # of ASCII, as OpenTelemetry has it


class OTelSink:
    """Hands over to the providers given, else to the global ones. Its calls are those of the OpenTelemetry SDK, in the
    capturing thread."""

    def __init__(
        self, service_name: str, tracer_provider: Any = None, meter_provider: Any = None, name: str = "otel"
    ) -> None:
        """Raises DependencyError where OpenTelemetry is not installed."""
        try:
            from opentelemetry import metrics, trace
        except ImportError as error:
            raise missing("opentelemetry-sdk", "otel", error) from error
        self.name = name
        self.service_name = service_name
        self._trace = trace
        self._tracer = (tracer_provider or trace.get_tracer_provider()).get_tracer(SCOPE)
        self._meter = (meter_provider or metrics.get_meter_provider()).get_meter(SCOPE)
        self._gauges: dict[str, Any] = {}

    def capture(self, family: PayloadFamily, payload: Any) -> None:
        """Take one payload. Runs and scopes are known by the attributes of what they hold."""
        if family not in (PayloadFamily.RECORD, PayloadFamily.ARTIFACT):
            return
        fields = plain(payload)
        if family is PayloadFamily.ARTIFACT:
            self._artifact(fields)
            return
        envelope, body = fields["envelope"], fields["payload"]
        attributes = {"service.name": self.service_name, **where(envelope)}
        record_type = envelope["record_type"]
        if record_type == "metric":
            self._metric(body, attributes)
        elif record_type == "span":
            self._span(body, attributes)
        else:
            key = body.get("event_key") or body.get("issue_key") or record_type
            said = {
                "level": body.get("level") or body.get("severity") or "info",
                "message": body.get("message") or body.get("summary") or "",
            }
            self._event(key, {**attributes, **_flat(body.get("attributes")), **said}, parse_ns(envelope["observed_at"]))

    def _metric(self, body: dict[str, Any], attributes: dict[str, Any]) -> None:
        name = _instrument(body["metric_key"])
        gauge = self._gauges.get(name.lower())
        if gauge is None:
            unit = body.get("unit") or ""
            fits = unit.isascii() and len(unit) <= MAX_UNIT
            made = self._meter.create_gauge(name, unit if fits else "", "" if fits else f"in {unit}")
            gauge = self._gauges.setdefault(name.lower(), made)
        gauge.set(float(body["value"]), {**attributes, "contexta.metric": body["metric_key"]})

    def _span(self, body: dict[str, Any], attributes: dict[str, Any]) -> None:
        ids = {f"contexta.{name}": body[name] for name in ("span_id", "trace_id", "parent_span_id") if body.get(name)}
        links = {"contexta.linked_refs": list(body["linked_refs"])} if body.get("linked_refs") else {}
        span = self._tracer.start_span(
            body["span_name"],
            start_time=parse_ns(body["started_at"]),
            attributes={**attributes, **ids, **links, **_flat(body.get("attributes"))},
        )
        if body["status"] == "ok":
            span.set_status(self._trace.StatusCode.OK)
        else:
            span.set_status(self._trace.StatusCode.ERROR, body["status"])
        span.end(parse_ns(body["ended_at"]))

    def _event(self, key: str, attributes: dict[str, Any], at_ns: int) -> None:
        current = self._trace.get_current_span()
        if current.is_recording():
            current.add_event(key, attributes, at_ns)
        else:
            self._tracer.start_span(key, start_time=at_ns, attributes=attributes).end(at_ns)

    def _artifact(self, fields: dict[str, Any]) -> None:
        manifest = fields["manifest"]
        names = ("artifact_ref", "artifact_kind", "run_ref", "location_ref", "size_bytes")
        attributes = {f"contexta.{name}": manifest[name] for name in names if manifest.get(name) is not None}
        self._event("artifact", {"service.name": self.service_name, **attributes}, parse_ns(manifest["created_at"]))


def _instrument(key: str) -> str:
    """Return a key as the name of an instrument: of few characters, a letter first, capitals not told apart."""
    name = cleaned(key, r"A-Za-z0-9_.\-/")
    return name if name[0].isalpha() else f"metric.{name}"[:MAX_NAME]


def _flat(attributes: Any) -> dict[str, Any]:
    """Attributes as OpenTelemetry takes them: what is not a text, number or truth value becomes text."""
    if not isinstance(attributes, dict):
        return {}
    return {str(k): v if isinstance(v, str | bool | int | float) else str(v) for k, v in attributes.items()}
