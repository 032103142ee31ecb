"""Text in HTML: escaped, and the little Markdown that the builders of reports write."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator

# Characters that HTML does not allow, or whose only use is to make text read differently from what it says.
_UNSEEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
# In this order: an escaped character, code, bold.
_INLINE = re.compile(r"\\([!-/:-@\[-`{-~])|`([^`]+)`|\*\*((?:\\.|[^*\\])+)\*\*", re.ASCII)


def text(value: object) -> str:
    """Return text for HTML, inside elements and attributes alike."""
    return html.escape(_UNSEEN.sub("\ufffd", str(value)), quote=True)


def body(markdown: str) -> str:
    """Return the HTML of a section's body: paragraphs, lists of `- ` lines, bold, code and escapes; nothing else."""
    return "".join(_blocks(markdown))


def _blocks(markdown: str) -> Iterator[str]:
    for block in re.split(r"\n{2,}", markdown.strip()):
        lines = [line for line in block.split("\n") if line.strip()]
        if not lines:
            continue
        if all(line.startswith("- ") for line in lines):
            items = "".join(f"<li>{_inline(line[2:])}</li>" for line in lines)
            yield f"<ul>{items}</ul>"
        else:
            yield f"<p>{_inline(' '.join(lines))}</p>"


def _inline(markdown: str) -> str:
    parts = []
    end = 0
    for match in _INLINE.finditer(markdown):
        parts.append(text(markdown[end : match.start()]))
        character, code, bold = match.groups()
        if character is not None:
            parts.append(text(character))
        elif code is not None:
            parts.append(f"<code>{text(code)}</code>")
        else:
            parts.append(f"<strong>{_inline(bold)}</strong>")
        end = match.end()
    parts.append(text(markdown[end:]))
    return "".join(parts)
