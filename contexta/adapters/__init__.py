"""Sinks that pass what is captured on to other libraries. Each needs its extra: `otel`, `mlflow`."""
