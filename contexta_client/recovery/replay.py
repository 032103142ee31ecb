"""Sending again what the user's sinks did not take. At least once: what was sent just before a crash is sent again."""

from __future__ import annotations

import fcntl
import json
import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from contexta.capture.results import PayloadFamily
from contexta.capture.sinks import Sink, family_of
from contexta.config import UnifiedConfig
from contexta.contract.json_text import dumps
from contexta.contract.serialization import MODELS
from contexta.errors import ConflictError, NotFoundError, ValidationError, nearest
from contexta_client.artifact_store.durable_files import replace_file, storing

from .answers import ReplayResult
from .contents import OUTBOX
from .outbox import DEAD_LETTER, OVERFLOW_SUFFIX, SUFFIX, VERSION, append, opened, read_overflow

DEAD_LETTER_BYTES = 64 << 20
_LOCK_TRIES = 1000  # 5 s: only a capture call or another settling holds a file's lock, and shortly


@dataclass(slots=True)
class _Tally:
    """What has been done so far. left: how many more entries may be tried, None: all."""

    left: int | None
    replayed: int = 0
    failed: int = 0
    dead: int = 0
    remaining: int = 0
    without_sink: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True, slots=True)
class _Entry:
    values: dict[str, Any]
    sink: str
    family: PayloadFamily
    failures: int

    def payload(self) -> Any:
        """Return what the sink was given: the model again, where it was one."""
        payload = self.values["payload"]
        name = self.values.get("payload_type")
        try:
            if name in MODELS:
                return MODELS[name].from_dict(payload)
            if name == "ArtifactRegistration":
                return {**payload, "manifest": MODELS["ArtifactManifest"].from_dict(payload["manifest"])}
        except (ValidationError, KeyError, TypeError):
            return payload  # of another version of the model: a mapping is what any sink takes, too
        return payload


def replay_outbox(
    config: UnifiedConfig,
    *,
    target: str | None = None,
    limit: int | None = None,
    acknowledge_successes: bool = True,
    dead_letter_after_failures: int | None = None,
    sinks: Sequence[Sink] | None = None,
) -> ReplayResult:
    """Send what is in the outbox to the given sinks, by their names, the oldest of each first.

    target: only to the sink of this name. limit: at most so many entries are tried. What a sink took is removed, unless
    acknowledge_successes is off; an entry that failed so often in all as dead_letter_after_failures is moved to
    `dead-letter.jsonl`, and so is a line that cannot be read. Without sinks it only counts. Raises ValidationError,
    NotFoundError for a target that is no sink, ConflictError while another replay runs, StorageError.
    """
    _check(limit, dead_letter_after_failures)
    by_name = _by_name(sinks or ())
    if target is not None and sinks is not None and target not in by_name:
        raise NotFoundError(f"No sink {target!r} was given.{nearest(target, list(by_name))}", code="sink_not_found")
    if target is not None:
        by_name = {name: sink for name, sink in by_name.items() if name == target}
    folder = Path(os.path.abspath(config.workspace.cache_path)) / OUTBOX  # noqa: PTH100 - links stay as given
    tally = _Tally(limit)
    if folder.is_dir():
        with storing(folder), _only_replay(folder):
            for path in sorted(folder.glob(f"*{SUFFIX}")):
                if path.stem != DEAD_LETTER:
                    _replay_file(path, by_name, tally, acknowledge_successes, dead_letter_after_failures)
    return ReplayResult(
        replayed=tally.replayed,
        failed=tally.failed,
        dead_lettered=tally.dead,
        remaining=tally.remaining,
        without_sink=dict(tally.without_sink),
        overflowed={path.stem: read_overflow(str(path)) for path in sorted(folder.glob(f"*{OVERFLOW_SUFFIX}"))},
    )


def _replay_file(
    path: Path, sinks: Mapping[str, Sink], tally: _Tally, acknowledge: bool, dead_after: int | None
) -> None:
    """Send a file's entries. What is appended meanwhile stays in it, untried."""
    with opened(str(path), tries=_LOCK_TRIES):
        data = path.read_bytes()
    lines = data[: data.rfind(b"\n") + 1].splitlines(keepends=True)
    kept: list[bytes] = []
    done = 0
    try:
        for line in lines:
            stays = _replay_line(line, path.parent, sinks, tally, acknowledge, dead_after)
            done += 1
            if stays is not None:
                kept.append(stays)
    finally:  # also when the user interrupts: what was taken is not sent again
        kept += lines[done:]
        tally.remaining += len(kept)
        if kept != lines:
            _settle(path, len(data[: data.rfind(b"\n") + 1]), b"".join(kept))


def _replay_line(
    line: bytes, folder: Path, sinks: Mapping[str, Sink], tally: _Tally, acknowledge: bool, dead_after: int | None
) -> bytes | None:
    """Send one entry. Returns the line that stays in its place, None when none does."""
    entry = _read(line)
    if entry is None:
        return None if _bury({"unreadable": line.decode("utf-8", "replace")}, folder, tally) else line
    sink = sinks.get(entry.sink)
    if sink is None:
        tally.without_sink[entry.sink] += 1
        return line
    if tally.left is not None:
        if tally.left == 0:
            return line
        tally.left -= 1
    try:
        sink.capture(entry.family, entry.payload())
    except Exception as error:
        tally.failed += 1
        failures = entry.failures + 1
        values = {**entry.values, "failures": failures, "error": f"{type(error).__name__}: {error}"[:1000]}
        if dead_after is not None and failures >= dead_after and _bury(values, folder, tally):
            return None
        return dumps(values).encode() + b"\n"
    tally.replayed += 1
    return None if acknowledge else line


def _bury(values: Mapping[str, Any], folder: Path, tally: _Tally) -> bool:
    """Move an entry to the dead letters, durably enough: before it leaves its file. False when there is no room."""
    if not append(str(folder / DEAD_LETTER), dumps(values).encode() + b"\n", max_bytes=DEAD_LETTER_BYTES):
        return False
    tally.dead += 1
    return True


def _settle(path: Path, seen: int, kept: bytes) -> None:
    """Put what is left in the place of what was seen, in one step; what was appended meanwhile follows it."""
    with opened(str(path), tries=_LOCK_TRIES):
        left = kept + path.read_bytes()[seen:]
        if left:
            replace_file(path, left, incoming=path.with_suffix(f".{os.getpid()}.new"))
        else:
            path.unlink()


def _read(line: bytes) -> _Entry | None:
    try:
        values = json.loads(line)
        if values["version"] != VERSION:
            return None
        return _Entry(values, str(values["sink"]), family_of(values["family"]), int(values["failures"]))
    except (ValueError, KeyError, TypeError, ValidationError, RecursionError):
        return None


@contextmanager
def _only_replay(folder: Path) -> Iterator[None]:
    """Two replays at once would send everything twice."""
    file = os.open(folder / "replay.lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError as error:
        raise ConflictError(
            f"Another replay of {folder} is under way. Wait for it.", code="replay_running", retryable=True
        ) from error
    finally:
        os.close(file)


def _check(limit: int | None, dead_after: int | None) -> None:
    for name, value, least in (("limit", limit, 0), ("dead_letter_after_failures", dead_after, 1)):
        if value is not None and value < least:
            raise ValidationError(f"{name} is {value}; give {least} or more, or None.", code="value_out_of_range")


def _by_name(sinks: Sequence[Sink]) -> dict[str, Sink]:
    found: dict[str, Sink] = {}
    for sink in sinks:
        name = str(getattr(sink, "name", type(sink).__name__))
        if name in found:
            raise ValidationError(f"Two sinks are called {name!r}; give each a name of its own.", code="sink_twice")
        found[name] = sink
    return found
