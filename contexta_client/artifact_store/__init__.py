"""Artifacts kept by their content on a plain folder; the code behind `contexta.store.artifacts`."""
