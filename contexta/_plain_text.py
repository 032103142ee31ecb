"""Text that acts on nobody: what a terminal or a log file must not be given, written out."""

from __future__ import annotations

import re

# Control characters, and those that turn the direction of text.
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def plain(text: str) -> str:
    r"""Return a text with control characters and the like written out: a newline as `\n`, an escape as `\x1b`."""
    return _UNPRINTABLE.sub(lambda found: repr(found[0])[1:-1], text)


def plain_lines(text: str) -> str:
    """The same, but lines stay lines."""
    return "\n".join(map(plain, text.split("\n")))
