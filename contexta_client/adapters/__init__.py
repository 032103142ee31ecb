"""Sinks for other libraries, which are imported when a sink is built."""
