"""Charts as SVG: scales for any numbers, gaps, many points, bars up and down."""

from __future__ import annotations

import math
import re
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contexta.interpretation import Chart, ChartLine
from contexta.rendering.chart_scale import axis
from contexta.rendering.chart_svg import HEIGHT, WIDTH, chart_html

PLACES = ("x", "y", "x1", "x2", "y1", "y2", "cx", "cy", "width", "height")
FINITE = st.floats(allow_nan=False, allow_infinity=False)


def parsed(chart: Chart) -> ElementTree.Element:
    """Return the figure, which is well-formed XML too."""
    return ElementTree.fromstring(chart_html(chart))


def coordinates(chart: Chart) -> list[float]:
    picture = parsed(chart).findall("svg")[0]
    numbers: list[float] = []
    for element in picture.iter():
        numbers.extend(float(element.attrib[name]) for name in PLACES if name in element.attrib)
        if element.tag == "path" and "cross" not in element.attrib["class"]:
            numbers.extend(map(float, re.findall(r"-?\d+\.\d+", element.attrib["d"])))
    return numbers


def line_chart(y: list[float | None]) -> Chart:
    return Chart("c", "line", (ChartLine("l", tuple(map(float, range(len(y)))), tuple(y)),), "step", "value")


@pytest.mark.parametrize(
    ("values", "labels"),
    [
        ([0.0, 10_000.0], ["0", "2000", "4000", "6000", "8000", "10000"]),
        ([0.0, 1.0], ["0", "0.2", "0.4", "0.6", "0.8", "1.0"]),
        ([0.0, 2_000_000.0], ["0", "0.5M", "1.0M", "1.5M", "2.0M"]),
        ([-1.0, 1.0], ["-1.0", "-0.5", "0", "0.5", "1.0"]),
        ([1e-9, 5e-9], ["1e-09", "2e-09", "3e-09", "4e-09", "5e-09"]),
    ],
)
def test_ticks_stand_at_round_numbers(values: list[float], labels: list[str]) -> None:
    scale = axis(values, ticks=5)
    assert [scale.label(tick) for tick in scale.ticks] == labels


@given(st.lists(FINITE, max_size=5), st.booleans(), st.booleans(), st.booleans())
def test_an_axis_takes_any_finite_numbers(values: list[float], zero: bool, whole: bool, ends: bool) -> None:
    scale = axis(values, ticks=5, with_zero=zero, whole=whole, round_ends=ends)
    assert scale.low < scale.high
    assert len(scale.ticks) <= 21
    assert all(-0.01 <= scale.share(value) <= 1.01 for value in values)
    assert all(scale.label(tick) for tick in scale.ticks)


@given(st.lists(st.none() | st.floats(), max_size=20), st.sampled_from(["line", "bar"]))
def test_any_values_are_drawn_within_the_picture(values: list[float | None], kind: str) -> None:
    line = ChartLine("l", tuple(map(float, range(len(values)))), tuple(values))
    numbers = coordinates(Chart("c", kind, (line,), "x", "y"))
    assert all(-20 <= number <= max(WIDTH, HEIGHT) + 20 for number in numbers)


def test_a_gap_breaks_a_line_and_a_value_that_is_not_finite_is_marked() -> None:
    picture = parsed(line_chart([1.0, 2.0, None, 3.0, 4.0, math.nan, 5.0]))
    paths = picture.findall("svg/path")
    assert paths[0].attrib["d"].count("M") == 2
    assert [path.attrib["class"] for path in paths[1:]] == ["cross"]
    assert len(picture.findall("svg/circle")) == 1  # the lone point after the NaN


def test_very_many_points_keep_their_peaks_and_stay_small() -> None:
    values: list[float | None] = [0.0] * 200_000
    values[123_456] = 9.0
    chart = line_chart(values)
    assert len(chart_html(chart)) < 60_000
    assert min(y for y in coordinates(chart)) < 60  # the peak reaches the top


def test_more_lines_than_can_be_told_apart_are_counted_instead() -> None:
    lines = tuple(ChartLine(f"l{number}", (0.0, 1.0), (0.0, float(number))) for number in range(30))
    page = chart_html(Chart("c", "line", lines))
    assert "and 6 more that are not drawn" in page
    assert page.count("<path") == 24


def test_bars_go_up_and_down_from_zero_and_carry_their_values() -> None:
    chart = Chart("c", "bar", (ChartLine("delta", (0.0, 1.0), (2.0, -1.0)),), x_labels=("left", "right"))
    bars = parsed(chart).findall("svg/rect")
    up, down = (float(bar.attrib["height"]) for bar in bars)
    assert up == pytest.approx(2 * down, abs=0.2)
    assert float(bars[0].attrib["y"]) + up == pytest.approx(float(bars[1].attrib["y"]), abs=0.2)
    assert {"2", "-1", "left", "right"} <= {text.text for text in parsed(chart).findall("svg/text") if text.text} | {
        title.tail for title in parsed(chart).iter("title") if title.tail
    }


def test_a_chart_without_any_value_is_an_empty_frame() -> None:
    for kind in ("line", "bar"):
        assert parsed(Chart("c", kind, ())).findall("svg/line")
