"""Reports as files: what stands in them, exactly, and that hostile text stays text."""

from __future__ import annotations

import csv
import io
import json
import math
import re
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st
from report_facts import HOSTILE, IMAGE, SCRIPT, curves, diagnostics, run_facts

from contexta.interpretation import Chart, ChartLine, EvidenceLink, ReportDocument, ReportSection, Table
from contexta.interpretation.reports import snapshot_report
from contexta.rendering import to_csv, to_html, to_json, to_markdown
from contexta.rendering.html_text import body

ALLOWED = set(
    re.findall(
        r"\w+",
        """html head meta title style body header h1 h2 h3 span div nav ol ul li a main section p code strong table
        thead tbody tr th td dl dt dd time small figure figcaption svg line path circle rect text details summary
        footer""",
    )
)


class Page(HTMLParser):
    """Collects elements, attributes and text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.said: list[str] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes.extend(attrs)

    def handle_data(self, data: str) -> None:
        self.said.append(data)


def sample() -> ReportDocument:
    return snapshot_report(run_facts(), diagnostics(), curves=curves())


def small(*rows: tuple[str | float | int | None, ...], title: str = "T") -> ReportDocument:
    columns = tuple(f"c{place}" for place in range(len(rows[0])))
    return ReportDocument("Small", (ReportSection(title, "", tables=(Table(columns, rows),)),))


def test_the_methods_of_a_document_render_it() -> None:
    document = sample()
    assert document.to_markdown() == to_markdown(document)
    assert document.to_html() == to_html(document)
    assert document.to_json() == to_json(document)
    assert document.to_csv() == to_csv(document)


def test_rendering_twice_gives_the_same_text() -> None:
    assert [sample().to_html(), sample().to_markdown()] == [sample().to_html(), sample().to_markdown()]


# --- JSON and CSV


def test_json_is_strict_and_holds_every_number_exactly() -> None:
    def refuse(constant: str) -> float:
        raise AssertionError(f"{constant} is no JSON")

    rows = ((0.1 + 0.2, math.nan, math.inf, -math.inf, 1 << 70, None, SCRIPT),)
    found = json.loads(to_json(small(*rows)), parse_constant=refuse)
    assert found["sections"][0]["tables"][0]["rows"][0] == [
        0.30000000000000004,
        "NaN",
        "Infinity",
        "-Infinity",
        1 << 70,
        None,
        SCRIPT,
    ]
    assert json.loads(to_json(sample()))["title"] == sample().title


def test_csv_has_a_table_after_another_with_the_section_first_and_exact_numbers() -> None:
    text = to_csv(small((0.1 + 0.2, math.nan, -math.inf, 7, None, "a,b\n")))
    assert list(csv.reader(io.StringIO(text, newline=""))) == [
        ["section", "table", "c0", "c1", "c2", "c3", "c4", "c5"],
        ["T", "", "0.30000000000000004", "NaN", "-Infinity", "7", "", "a,b\n"],
    ]
    tables = [table for section in sample().sections for table in section.tables]
    blocks = to_csv(sample()).split("\r\n\r\nsection,table")
    assert len(blocks) == len(tables)


@pytest.mark.parametrize("text", ["=1+2", "+1", "-1", "@x", "\t=1", "\r=1", " =1", "  -1"])
def test_csv_makes_a_text_that_reads_as_a_formula_a_text(text: str) -> None:
    rows = list(csv.reader(io.StringIO(to_csv(small((text, -1.5), title=text)), newline="")))
    assert rows[1] == [f"'{text}", "", f"'{text}", "-1.5"]


def test_csv_of_a_report_without_tables_is_its_line_of_names() -> None:
    assert to_csv(ReportDocument("Empty", (ReportSection("S", "Nothing."),))) == "section,table\r\n"


# --- Markdown


def test_markdown_has_headings_tables_and_numbers_to_six_digits() -> None:
    text = to_markdown(sample())
    assert text.startswith("# Run Snapshot Report: run:vision.resnet50-ddp\n\n## Run Summary\n")
    assert [line[3:] for line in text.splitlines() if line.startswith("## ")] == [s.title for s in sample().sections]
    assert "| loss | train |  | 8 | 80000 | NaN |" in text
    assert "0.800328" in text


def test_markdown_keeps_every_row_one_row_and_no_html_alive() -> None:
    text = to_markdown(small(*((hostile, "end") for hostile in HOSTILE)))
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert len(rows) == 2 + len(HOSTILE)
    assert all(len(re.findall(r"(?<!\\)\|", row)) == 3 for row in rows)
    assert not re.search(r"(?<!\\)[<`\[]", text)


def test_markdown_draws_a_line_of_blocks_for_a_chart() -> None:
    line = ChartLine("loss", (0.0, 1.0, 2.0, 3.0), (0.0, None, 4.0, math.nan))
    text = to_markdown(ReportDocument("C", (ReportSection("S", "", charts=(Chart("loss", "line", (line,)),)),)))
    assert "| loss | 4 | 0 | NaN | 0 | 4 | ▁ █  |" in text


# --- HTML


def test_html_is_one_page_that_runs_nothing_and_loads_nothing() -> None:
    page = to_html(sample())
    found = Page(page)
    assert set(found.tags) <= ALLOWED
    names = {name for name, _ in found.attributes}
    assert not any(name.startswith("on") or name in {"src", "style", "srcset", "xlink:href"} for name in names)
    links = [value for name, value in found.attributes if name == "href"]
    assert links
    assert all(re.fullmatch(r"#section-\d+", link or "") for link in links)
    assert "url(" not in page
    assert "@import" not in page
    policy = next(value for name, value in found.attributes if name == "content" and value and "default-src" in value)
    assert "default-src 'none'" in policy
    assert "script-src 'none'" in policy
    assert "unsafe" not in policy


def test_html_shows_hostile_text_as_it_is() -> None:
    said = "".join(Page(to_html(sample())).said)
    assert SCRIPT in said
    assert IMAGE in said
    assert HOSTILE[3] in said
    assert said.isprintable() or "\ud800" not in said


@pytest.mark.parametrize("character", ["\u202e", "\u2066", "\x00", "\x1b", "\x9b"])
def test_html_shows_that_there_was_a_character_by_which_text_reads_as_what_it_is_not(character: str) -> None:
    said = f"gpj{character}exe"
    document = ReportDocument(said, (ReportSection(said, said, tables=(Table((said,), ((said,),), said),)),))
    page = to_html(document)
    assert character not in page
    assert page.count("gpj\ufffdexe") >= 5


def test_html_has_badges_exact_numbers_and_the_gap_of_a_line() -> None:
    page = to_html(sample())
    assert '<span class="badge bad">failed</span>' in page
    assert '<span class="badge bad">NaN</span>' in page
    assert "× not a finite number" in page
    assert '<span title="0.1234567890123">0.123457</span>' in to_html(small((0.1234567890123,)))
    assert "<small>102 MB</small>" in page
    assert page.count('<figure class="chart">') == 4


def test_evidence_is_listed_and_bounded() -> None:
    links = tuple(EvidenceLink("run", f"run:p.{number}", SCRIPT) for number in range(500))
    document = ReportDocument("E", (ReportSection("S", "", evidence_links=links),))
    assert "and 300 more" in to_html(document)
    assert "and 450 more" in to_markdown(document)
    assert SCRIPT not in to_html(document)


def test_a_body_is_paragraphs_lists_bold_and_code_and_nothing_else() -> None:
    assert body("One **two** `th<ree`.\n\n- a\n- b \\*c\\*") == (
        "<p>One <strong>two</strong> <code>th&lt;ree</code>.</p><ul><li>a</li><li>b *c*</li></ul>"
    )
    assert body("[x](javascript:alert(1)) <b>") == "<p>[x](javascript:alert(1)) &lt;b&gt;</p>"
    assert body("") == ""


@given(st.text(max_size=60))
def test_no_text_becomes_an_element_or_an_attribute(text: str) -> None:
    chart = Chart(text, "bar", (ChartLine(text, (0.0,), (1.0,)), ChartLine(text, (0.0,), (-1.0,))), text, text, (text,))
    link = EvidenceLink(text, text, text)
    rows = ((text, 1.0),)
    tables = (Table((text, "n"), rows, text), Table(("property", "value"), rows, text))
    document = ReportDocument(text, (ReportSection(text, text, (link,), tables, (chart,)),))
    page = to_html(document)
    page.encode()
    found = Page(page)
    assert set(found.tags) <= ALLOWED
    assert not {name for name, _ in found.attributes} & {"onerror", "onload", "src", "style"}
    for other in (to_markdown(document), to_csv(document), to_json(document)):
        other.encode()


@pytest.mark.parametrize(
    "size, words", [(999, ""), (1000, "1 kB"), (123_456, "123 kB"), (999_499, "999 kB"), (999_999, "1 MB"),
                    (10**18 - 1, "1 EB")],
)  # fmt: skip
def test_a_size_is_said_in_the_unit_that_it_is_rounded_to(size: int, words: str) -> None:
    page = to_html(ReportDocument("t", (ReportSection("s", "", tables=(Table(("size (bytes)",), ((size,),)),)),)))
    assert re.findall("<small>(.*?)</small>", page) == ([words] if words else [])
