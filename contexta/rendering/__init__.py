"""Reports as files: Markdown, HTML, JSON and CSV text. Names are imported when first used."""

from __future__ import annotations

from .._lazy import lazy_names

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .html_page import to_html
    from .markdown import to_markdown
    from .plain import to_csv, to_json

__all__ = ["to_csv", "to_html", "to_json", "to_markdown"]

_HOMES = {"to_csv": "plain", "to_html": "html_page", "to_json": "plain", "to_markdown": "markdown"}

__getattr__, __dir__ = lazy_names(__name__, _HOMES)
