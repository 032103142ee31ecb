"""Where captured payloads go in the caller, besides the daemon.

A sink that the user passes runs in the capture call, in the order given. The sink named `local-jsonl` that every
`Contexta` has is different: it only names the files, because the daemon writes them (`MirroredJsonlSink`).
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol, TextIO, runtime_checkable

from .._private_folders import make_folder
from ..errors import ValidationError
from .results import PayloadFamily

NEWLINE = ord("\n")


@runtime_checkable
class Sink(Protocol):
    """What a sink has: a name, and a function that takes each captured payload.

    payload: a model of `contexta.contract`, or a mapping. What it raises is noted, and never reaches the capture call.
    """

    name: str

    def capture(self, family: PayloadFamily, payload: Any) -> None: ...


class MemorySink:
    """Keeps what was captured, for tests and notebooks: the newest `max_items`, all where None."""

    def __init__(self, name: str = "memory", *, max_items: int | None = None) -> None:
        self.name = name
        self._items: deque[tuple[PayloadFamily, Any]] = deque(maxlen=max_items)

    def capture(self, family: PayloadFamily, payload: Any) -> None:
        """Keep one payload."""
        self._items.append((family, payload))

    @property
    def items(self) -> list[tuple[PayloadFamily, Any]]:
        """What is kept, oldest first, as (family, payload)."""
        return list(self._items)

    def payloads(self, family: PayloadFamily | str | None = None) -> list[Any]:
        """Return the payloads of a family, or all."""
        wanted = None if family is None else family_of(family)
        return [payload for each, payload in self._items if wanted is None or each is wanted]

    def clear(self) -> None:
        """Forget everything."""
        self._items.clear()


class StdoutSink:
    """Prints each payload as JSON, on a line or indented, to a stream (default: what sys.stdout is then)."""

    def __init__(self, name: str = "stdout", stream: TextIO | None = None, indent: int | None = None) -> None:
        self.name = name
        self.stream = stream
        self.indent = indent

    def capture(self, family: PayloadFamily, payload: Any) -> None:
        """Print one payload."""
        import sys

        stream = self.stream if self.stream is not None else sys.stdout
        line = capture_line(self.name, family, payload)
        if self.indent is None:
            text = _json(line)
        else:
            import json

            text = json.dumps(json.loads(_json(line)), ensure_ascii=False, indent=self.indent)
        stream.write(text + "\n")


class LocalJsonlSink:
    """Appends each payload as a JSON line to `<storage_root>/<family>.jsonl`, in the caller.

    storage_root becomes absolute here, so that a later change of the working folder moves nothing. Files are created
    for their owner alone, and a line is one write, so lines of several threads or forked children never mix. What a
    full disk leaves of a line is ended before the next one.
    """

    def __init__(self, storage_root: str | os.PathLike[str], name: str = "local-jsonl") -> None:
        self.name = name
        self.storage_root = Path(os.path.abspath(storage_root))  # noqa: PTH100 - resolve() would follow links
        self._files: dict[PayloadFamily, int] = {}
        self._torn: set[PayloadFamily] = set()  # whose file ends within a line

    def file_path_for(self, family: PayloadFamily | str) -> Path:
        """Return the absolute path of a family's file. It exists once something of that family was captured."""
        return self.storage_root / f"{family_of(family).value.lower()}.jsonl"

    def capture(self, family: PayloadFamily, payload: Any) -> None:
        """Append one payload. Raises OSError when the disk refuses."""
        line = (_json(capture_line(self.name, family, payload)) + "\n").encode()
        file = self._file(family)
        if family in self._torn:
            line = b"\n" + line
        written = 0
        try:
            while written < len(line):
                written += os.write(file, memoryview(line)[written:])
        finally:
            if written and line[written - 1] != NEWLINE:
                self._torn.add(family)
            elif written:
                self._torn.discard(family)

    def close(self) -> None:
        """Close the files; a later capture opens them again."""
        while self._files:
            os.close(self._files.popitem()[1])

    def _file(self, family: PayloadFamily) -> int:
        file = self._files.get(family)
        if file is None:
            make_folder(self.storage_root)
            flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
            opened = os.open(self.file_path_for(family), flags, 0o600)
            size = os.fstat(opened).st_size
            torn = size and os.pread(opened, 1, size - 1) != b"\n"  # by a process that met a full disk, or was killed
            file = self._files.setdefault(family, opened)
            if file != opened:  # another thread was first
                os.close(opened)
            elif torn:
                self._torn.add(family)
        return file


class MirroredJsonlSink(LocalJsonlSink):
    """Names the files that the daemon writes; capturing does nothing here."""

    def capture(self, family: PayloadFamily, payload: Any) -> None:
        """Do nothing: the daemon writes this line, once it is durable."""


def family_of(family: PayloadFamily | str) -> PayloadFamily:
    """Return the family of a name in any case. Raises ValidationError for one that does not exist."""
    try:
        return PayloadFamily(str(family).upper())
    except ValueError:
        raise ValidationError(
            f"There is no payload family {family!r}; there are {', '.join(PayloadFamily)}.",
            code="family_unknown",
            details={"family": family},
        ) from None


def capture_line(sink_name: str, family: PayloadFamily, payload: Any) -> dict[str, Any]:
    """Return a line of a capture file: captured_at, sink_name, family, payload_type, payload_ref, payload."""
    return {
        "captured_at": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        "sink_name": sink_name,
        "family": family.value,
        "payload_type": payload_type(payload),
        "payload_ref": payload_ref(payload),
        "payload": payload,
    }


def payload_type(payload: Any) -> str:
    """Return the model's name: of an object its class, of a mapping what it looks like."""
    if not isinstance(payload, Mapping):
        return type(payload).__name__
    if "manifest" in payload:
        return "ArtifactRegistration"
    envelope = payload.get("envelope")
    record_type = envelope.get("record_type", "") if isinstance(envelope, Mapping) else ""
    names = {"metric": "Metric", "event": "StructuredEvent", "span": "TraceSpan", "degraded": "Degraded"}
    return names[record_type] + "Record" if record_type in names else "Mapping"


def payload_ref(payload: Any) -> str:
    """Return the reference of what a payload describes, or an empty text."""
    for holder, name in (("envelope", "record_ref"), ("manifest", "artifact_ref")):
        inner = payload.get(holder) if isinstance(payload, Mapping) else getattr(payload, holder, None)
        if inner is not None:
            return str(inner.get(name, "") if isinstance(inner, Mapping) else getattr(inner, name, ""))
    ref = "" if isinstance(payload, Mapping) else getattr(payload, "ref", "")
    return ref if isinstance(ref, str) else ""


def _json(value: Any) -> str:
    from ..contract.json_text import dumps

    return dumps(value)
