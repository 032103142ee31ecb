"""The reports: functions from what is known to a `ReportDocument`, which `contexta.rendering` turns into a file."""

from __future__ import annotations

from .report_comparison import comparison_report, multi_run_report
from .report_differences import compare_documents
from .report_fleet import alert_report, project_report, trend_report
from .report_snapshot import snapshot_report

__all__ = [
    "alert_report",
    "compare_documents",
    "comparison_report",
    "multi_run_report",
    "project_report",
    "snapshot_report",
    "trend_report",
]
