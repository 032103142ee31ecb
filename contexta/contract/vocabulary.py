"""The words that fields with a fixed choice take."""

from __future__ import annotations

STATUSES = ("open", "completed", "failed", "cancelled")
RECORD_TYPES = ("event", "metric", "span", "degraded")
COMPLETENESS_MARKERS = ("complete", "partial", "sampled", "absent", "unknown")
DEGRADATION_MARKERS = ("none", "partial_failure", "capture_gap", "import_loss", "compatibility_upgrade")
ORIGIN_MARKERS = ("explicit_capture", "assisted_capture", "wrapped_capture", "imported", "inferred", "replayed")
LEVELS = ("debug", "info", "warning", "error", "critical")
AGGREGATION_SCOPES = ("run", "stage", "operation", "step", "slice")
SPAN_STATUSES = ("ok", "error", "cancelled", "timeout")
SPAN_KINDS = ("operation", "internal", "io", "network", "process")
DEGRADED_CATEGORIES = ("capture", "store", "import", "compatibility", "verification", "recovery")
DEGRADED_SEVERITIES = ("warning", "error")
RELATION_TYPES = (
    "generated_from",
    "consumed_by",
    "produced_by",
    "packaged_from",
    "reported_by",
    "evaluated_on",
    "deployed_from",
    "used",
    "derived_from",
    "observed_in",
)
ASSERTION_MODES = ("explicit", "imported", "inferred", "replayed")
CONFIDENCE_MARKERS = ("high", "medium", "low", "unknown")
