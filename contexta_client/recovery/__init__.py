"""Backup, restore, rebuild, and what user sinks missed; the code behind `contexta.recovery`."""
