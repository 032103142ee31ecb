"""`contexta backup …`, `contexta restore …` and `contexta recover …`."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from contexta.errors import ContextaError, ValidationError

from .output import Terminal, examples, exits_with, human_bytes, plain

if TYPE_CHECKING:
    from contexta.capture.sinks import Sink
    from contexta.recovery import ReplayResult, RestorePlan, RestoreResult


@click.group()
def backup() -> None:
    """Copies of the workspace, made while it is in use."""


@backup.command(
    epilog=examples("contexta backup create --label before-upgrade", "contexta backup create --to /mnt/safe")
)
@click.option("--label", help="A few words for its name.")
@click.option("--include-cache/--no-include-cache", default=None, help="With the cache.")
@click.option("--include-exports/--no-include-exports", default=None, help="With the exports folder.")
@click.option("--to", "folder", type=click.Path(path_type=Path), help="Where to (default: backups in the workspace).")
@click.pass_obj
def create(
    terminal: Terminal,
    label: str | None,
    include_cache: bool | None,
    include_exports: bool | None,
    folder: Path | None,
) -> None:
    """Make a backup. Capturing may go on: all that was durable when it began is in it."""
    from contexta.recovery import create_workspace_backup, plan_workspace_backup

    plan = plan_workspace_backup(
        terminal.config, label=label, include_cache=include_cache, include_exports=include_exports, folder=folder
    )
    made = create_workspace_backup(terminal.config, plan)
    said = {
        "backup_ref": made.backup_ref,
        "path": str(made.path),
        "file_count": made.file_count,
        "size_bytes": made.size_bytes,
        "created_at": made.created_at,
        "left_out": list(plan.left_out),
        "notes": list(made.notes),
    }
    lines = [f"Backup {made.backup_ref}: {made.file_count:,} files, {human_bytes(made.size_bytes)}, in {made.path}"]
    lines += [f"  without {plain(each)}" for each in plan.left_out]
    lines += [f"  NOTE {plain(each)}" for each in made.notes]
    terminal.say(said, "\n".join(lines))


@backup.command("list")
@click.pass_obj
def list_made(terminal: Terminal) -> None:
    """List the backups in the workspace, the oldest first."""
    from contexta.recovery import list_backups

    found = list_backups(terminal.config)
    if not found:
        terminal.check_workspace()
    if terminal.as_json:
        terminal.print_json(found)
    else:
        print("\n".join(map(plain, found)) or "There are no backups in the workspace.")


@click.group()
def restore() -> None:
    """Workspaces made of backups."""


@restore.command(
    epilog=examples(
        "contexta restore apply 20260131T090000Z-before-upgrade --verify-only",
        "contexta restore apply 20260131T090000Z-before-upgrade --target restored",
        "contexta --workspace restored runs",
    )
)
@click.argument("backup_ref", metavar="BACKUP")
@click.option("--target", type=click.Path(path_type=Path), help="An empty folder (default: the workspace).")
@click.option("--verify-only", is_flag=True, help="Only read all of it, and say what is wrong.")
@click.pass_obj
def apply(terminal: Terminal, backup_ref: str, target: Path | None, verify_only: bool) -> None:
    """Make a workspace of BACKUP, the name of one in the workspace or the path of its folder.

    Nothing is restored over anything, nor from a backup that is damaged.
    """
    from contexta.recovery import plan_restore, restore_workspace

    plan = plan_restore(terminal.config, backup_ref, target_workspace=target, verify_only=verify_only)
    result = restore_workspace(terminal.config, plan)
    exits_with(0 if result.ok else 1)
    _say_restored(terminal, plan, result)


def _say_restored(terminal: Terminal, plan: RestorePlan, result: RestoreResult) -> None:
    said: dict[str, Any] = {
        "backup_ref": result.backup_ref,
        "path": str(plan.path),
        "restored": result.restored,
        "target": str(result.target) if result.target else None,
        "file_count": result.file_count,
        "size_bytes": result.size_bytes,
        "created_at": plan.manifest.created_at,
        "source_workspace": plan.manifest.source_workspace,
        "problems": [{"path": each.path, "problem": each.problem, "detail": each.detail} for each in result.problems],
    }
    amount = f"{result.file_count:,} files, {human_bytes(result.size_bytes)}"
    if result.restored:
        text = f"Restored {result.backup_ref} to {result.target}: {amount}."
    elif result.ok:
        text = f"The backup {result.backup_ref} of {plan.manifest.created_at} is whole: {amount}."
    else:
        lines = [f"  {plain(each.path)}: {each.problem}, {plain(each.detail)}" for each in result.problems]
        text = "\n".join([f"The backup {result.backup_ref} is DAMAGED: {len(lines):,} of {amount}.", *lines])
    terminal.say(said, text)


@click.group()
def recover() -> None:
    """Making good what went wrong: records that sinks missed, indexes that are damaged."""


@recover.command(
    epilog=examples(
        "contexta recover replay",
        "contexta recover replay --sink my_package.sinks:warehouse --dead-letter-after 5",
    )
)
@click.option("--sink", "sinks", multiple=True, metavar="MODULE:NAME", help="A sink, or what makes one when called.")
@click.option("--target", help="Only what the sink of this name missed.")
@click.option("--limit", type=click.IntRange(0), help="Try at most so many.")
@click.option("--keep", is_flag=True, help="Leave in the outbox what was sent, too.")
@click.option("--dead-letter-after", type=click.IntRange(1), metavar="N", help="Give up what failed N times in all.")
@click.pass_obj
def replay(
    terminal: Terminal,
    sinks: Sequence[str],
    target: str | None,
    limit: int | None,
    keep: bool,
    dead_letter_after: int | None,
) -> None:
    """Send again what your own sinks did not take. Without --sink, tell what waits for which."""
    from contexta.recovery import replay_outbox

    result = replay_outbox(
        terminal.config,
        target=target,
        limit=limit,
        acknowledge_successes=not keep,
        dead_letter_after_failures=dead_letter_after,
        sinks=[_sink(each) for each in sinks] or None,
    )
    if not result.replayed and not result.remaining:
        terminal.check_workspace()
    said = {
        "replayed": result.replayed,
        "failed": result.failed,
        "dead_lettered": result.dead_lettered,
        "remaining": result.remaining,
        "without_sink": dict(result.without_sink),
        "overflowed": dict(result.overflowed),
    }
    terminal.say(said, _replayed(result))


def _replayed(result: ReplayResult) -> str:
    lines = [
        f"Sent again: {result.replayed:,}. Failed: {result.failed:,}. Given up: {result.dead_lettered:,}. "
        f"Waiting: {result.remaining:,}."
    ]
    lines += [f"  {count:,} wait for the sink {plain(name)}" for name, count in result.without_sink.items()]
    lines += [f"  {count:,} of {plain(name)} had no room and are lost" for name, count in result.overflowed.items()]
    return "\n".join(lines)


def _sink(text: str) -> Sink:
    """Return the sink that MODULE:NAME names. Raises ValidationError."""
    from contexta.capture.sinks import Sink

    module_name, _, name = text.partition(":")
    if not module_name or not name:
        raise click.BadParameter(f"{text!r} is not MODULE:NAME, such as my_package.sinks:warehouse.")
    try:
        found = getattr(importlib.import_module(module_name), name)
        made = found if isinstance(found, Sink) and not isinstance(found, type) else found()
    except ContextaError:
        raise
    except Exception as error:
        raise ValidationError(
            f"The sink {text} cannot be made: {type(error).__name__}: {error}", code="sink_invalid", cause=error
        ) from error
    if not isinstance(made, Sink):
        raise ValidationError(f"{text} is no sink: it has no name and capture().", code="sink_invalid")
    return made


@recover.command(epilog=examples("contexta recover rebuild"))
@click.pass_obj
def rebuild(terminal: Terminal) -> None:
    """Make catalog, columns and capture files anew from the log. Capturing may go on; the daemon is started again."""
    from contexta.recovery import rebuild_workspace

    result = rebuild_workspace(terminal.config)
    lines = [f"The daemon (pid {result.daemon_pid}) makes these anew from the log:"]
    lines += [f"  {plain(each)}" for each in result.removed] or ["  (there was nothing yet)"]
    terminal.say({"removed": list(result.removed), "daemon_pid": result.daemon_pid}, "\n".join(lines))
