"""What later items refer to, as entries, so that a daemon that lost the session can be told again."""

from __future__ import annotations

from dataclasses import dataclass, field

from google.protobuf.message import DecodeError

from contexta.v1 import capture_pb2

_TIME_TAG = 1 << 3 | 1
_FIRST_KIND, _LAST_KIND = 2, 6  # session_opened to group_defined


def defines(entry: bytes) -> bool:
    """Whether an entry opens, closes or names something. Peeks at the field numbers, without parsing."""
    at = 9 if entry[:1] == bytes((_TIME_TAG,)) else 0  # the time stands first, if there is one
    if at >= len(entry) or entry[at] & 0x80:  # numbers over 15 take two bytes
        return False
    return _FIRST_KIND <= entry[at] >> 3 <= _LAST_KIND


def parse(entry: bytes) -> capture_pb2.Entry | None:
    """Return an entry's message, or None for bytes that are none."""
    try:
        return capture_pb2.Entry.FromString(entry)
    except DecodeError:
        return None


@dataclass(slots=True)
class Definitions:
    """The session's beginning, its open scopes, its keys and its groups. Kept in memory only."""

    session: bytes = b""
    scopes: dict[int, bytes] = field(default_factory=dict)
    keys: dict[int, bytes] = field(default_factory=dict)
    groups: dict[int, bytes] = field(default_factory=dict)

    def note(self, entry: bytes) -> None:
        """Remember an entry if it defines something."""
        parsed = parse(entry) if defines(entry) else None
        if parsed is None:
            return
        kind = parsed.WhichOneof("kind")
        if kind == "session_opened":
            self.session = entry
        elif kind == "scope_opened":
            self.scopes[parsed.scope_opened.scope_id] = entry
        elif kind == "scope_closed":
            self.scopes.pop(parsed.scope_closed.scope_id, None)
        elif kind == "key_defined":
            self.keys[parsed.key_defined.key_id] = entry
        elif kind == "group_defined":
            self.groups[parsed.group_defined.group_id] = entry

    def all(self) -> list[bytes]:
        """Return every entry, each before those that refer to it."""
        session = [self.session] if self.session else []
        return [*session, *self.scopes.values(), *self.keys.values(), *self.groups.values()]
