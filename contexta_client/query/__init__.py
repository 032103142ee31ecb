"""Asking the daemon: a lazy channel, the questions, and records as they come.

grpc is imported with the first question. Its core prints notes to standard error when a process forks or a daemon ends,
into the user's progress bars; they are left out unless GRPC_VERBOSITY asks for them.
"""

import os

_asked = os.environ.get("GRPC_VERBOSITY")
os.environ["GRPC_VERBOSITY"] = _asked or "ERROR"
try:
    import grpc as grpc  # reads the variable now, and only now
finally:
    if _asked is None:
        del os.environ["GRPC_VERBOSITY"]
