"""`contextad`, `python -m contexta_daemon`: take the workspace, go to the background, serve.

The lock is taken, and the process detached, before anything heavy is imported: whoever loses the race is gone within
milliseconds, and the one who called is not kept waiting.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path
from typing import Any

# Absolute: the processes that think run this file by its path, to have the same main module.
from contexta_daemon.freed_memory import share_one_arena
from contexta_daemon.tenancy import AlreadyRunningError, Tenancy

EXIT_HELD = 3


def main(arguments: list[str] | None = None) -> int:
    """Exit codes: 0 served and ended (or detached), 1 cannot serve, 2 usage, 3 another daemon serves."""
    parser = _parser()
    options = parser.parse_args(arguments)
    patch = _patch(parser, options.config)
    os.umask(0o077)  # whatever this process makes is its user's alone
    try:
        tenancy = Tenancy(Path(options.workspace))
    except AlreadyRunningError as error:
        print(f"contextad: {error}", file=sys.stderr)
        return EXIT_HELD
    except OSError as error:
        print(f"contextad: the workspace cannot be used: {error}", file=sys.stderr)
        return 1
    if not options.foreground and _detach():
        return 0
    tenancy.note_pid()
    share_one_arena()  # before numpy and gRPC start their threads
    from contexta_daemon.app import run

    return run(tenancy, patch, to_terminal=options.foreground)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="contextad", description="The background service of a Contexta workspace. It is started when needed."
    )
    parser.add_argument("--workspace", default=".contexta", help="the workspace's folder (default: .contexta)")
    parser.add_argument("--config", default="{}", metavar="JSON", help="configuration, as a nested JSON object")
    parser.add_argument("--foreground", action="store_true", help="stay attached, and log to the terminal too")
    return parser


def _patch(parser: argparse.ArgumentParser, text: str) -> dict[str, Any]:
    try:
        patch = json.loads(text)
    except ValueError as error:
        parser.error(f"--config is no JSON: {error}")
    if not isinstance(patch, dict):
        parser.error("--config is no JSON object")
    return patch


def _detach() -> bool:
    """Go on in a process of its own session, not a child of the caller. True in the caller.

    The lock belongs to the open file, which the process inherits: it is held without a break.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    child = os.fork()
    if child:
        os.waitpid(child, 0)
        return True
    os.setsid()
    if os.fork():
        os._exit(0)
    null = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(null, descriptor)
    os.close(null)
    return False


if __name__ == "__main__":
    sys.exit(main())
