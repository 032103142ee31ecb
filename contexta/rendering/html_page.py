"""Reports as one HTML file: style and pictures inside, no scripts, nothing loaded from anywhere."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence

from ..interpretation.findings import EvidenceLink, ReportDocument, ReportSection
from .chart_svg import chart_html
from .html_style import STYLE
from .html_tables import table_html
from .html_text import body, text
from .wellformed import shortened, well_formed

MAX_EVIDENCE = 200


def to_html(document: ReportDocument) -> str:
    """Return a report as an HTML page of its own. Its content policy forbids scripts and everything from outside."""
    title = text(shortened(document.title))
    sections = "".join(_section(number, section) for number, section in enumerate(document.sections, 1))
    links = "".join(
        f'<li><a href="#section-{number}">{text(shortened(section.title, 80))}</a></li>'
        for number, section in enumerate(document.sections, 1)
    )
    page = (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{_policy()}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="color-scheme" content="light dark"><meta name="referrer" content="no-referrer">'
        f"<title>{title}</title><style>{STYLE}</style></head>\n<body><header>{_heading(document.title)}</header>\n"
        f'<div class="page"><nav aria-label="Sections"><ol>{links}</ol></nav>\n<main>{sections}'
        "<footer>Made with Contexta. All numbers are shown to 6 digits; hover over one to see it exactly.</footer>"
        "</main></div></body></html>\n"
    )
    return well_formed(page)


def _policy() -> str:
    """Return a policy that allows nothing but the style above, by its hash: no scripts, fonts, images or forms."""
    digest = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
    return f"default-src 'none'; script-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"


def _heading(title: str) -> str:
    """Return the heading; what kind of report it is stands smaller above what it is about."""
    kind, separator, subject = title.partition(": ")
    if not separator:
        return f"<h1>{text(shortened(title))}</h1>"
    said = f'{text(shortened(kind))}<span class="unseen">: </span>'
    return f'<h1><span class="kind">{said}</span>{text(shortened(subject))}</h1>'


def _section(number: int, section: ReportSection) -> str:
    tables = [table_html(table) for table in section.tables]
    # The first table, the most telling, goes before the charts, the others after them.
    charts = "".join(chart_html(chart) for chart in section.charts)
    pictures = f'<div class="charts">{charts}</div>' if charts else ""
    return (
        f'<section id="section-{number}"><h2>{text(shortened(section.title))}</h2>{body(section.body)}'
        f"{''.join(tables[:1])}{pictures}{''.join(tables[1:])}{_evidence(section.evidence_links)}</section>\n"
    )


def _evidence(links: Sequence[EvidenceLink]) -> str:
    if not links:
        return ""
    items = "".join(
        f"<li>{text(link.kind)}: <code>{text(shortened(link.ref))}</code>"
        f"{' ' + text(shortened(link.label)) if link.label else ''}</li>"
        for link in links[:MAX_EVIDENCE]
    )
    more = len(links) - MAX_EVIDENCE
    rest = f"<li>and {more} more</li>" if more > 0 else ""
    return f"<details><summary>Evidence ({len(links)})</summary><ul>{items}{rest}</ul></details>"
