"""The one place that names the version."""

__version__ = "0.1.0"

# Versions of the wire protocol that this package speaks, both ends included. A client and a daemon whose ranges do
# not overlap refuse each other.
PROTOCOL_MIN = 1
PROTOCOL_MAX = 1
