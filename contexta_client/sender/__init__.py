"""The sender: one process for a workspace and host that carries the local spools to the daemon."""
