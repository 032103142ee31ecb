"""What all text forms of reports share: no text too long for a page, none that cannot be written as UTF-8."""

from __future__ import annotations

MAX_CELL = 1000


def well_formed(text: str) -> str:
    """Return text that UTF-8 can hold: lone surrogates become U+FFFD."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


def shortened(text: str, limit: int = MAX_CELL) -> str:
    """Return text cut to what a reader can take in; JSON and CSV keep it whole."""
    return text if len(text) <= limit else f"{text[: limit - 1]}…"
