"""Stores on a plain folder, without a daemon: `contexta.store.artifacts`."""
