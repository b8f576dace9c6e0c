"""Charts: round ticks, true lengths, escaped names."""

from __future__ import annotations

import math
import xml.etree.ElementTree as ET

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engram.report import chart, picture, words


@given(st.floats(-1e6, 1e6), st.floats(1e-6, 1e6), st.integers(2, 8))
def test_ticks_enclose_the_range(low: float, span: float, number: int) -> None:
    found = chart.ticks(low, low + span, number)
    assert 2 <= len(found) <= number + 3
    slack = 1e-6 * max(abs(low), span, 1)
    assert found[0] <= low + slack and found[-1] >= low + span - slack


def test_bars_are_as_long_as_their_values() -> None:
    drawn = chart.bars(
        [chart.Bar("a<b", 0.5, 0.4, 0.6), chart.Bar("c", 1.0, tone="floor")], high=1.0, say="{:.1f}".format
    )
    root = ET.fromstring(drawn)
    fills = [e.get("width") for e in root.iter("rect") if "fill" in (e.get("class") or "")]
    assert fills == ["41.0%", "82.0%"]
    assert "a&lt;b" in drawn and "95 % interval 0.4 to 0.6" in drawn


def test_lines_leave_out_what_is_not_a_number() -> None:
    series = chart.Series("loss", [0, 1, 2, 3], [1.0, math.nan, 0.5, math.inf])
    root = ET.fromstring(chart.lines([series], x_name="seconds", y_name="loss"))
    path = next(e.get("d") for e in root.iter("path") if "line" in (e.get("class") or ""))
    assert path is not None and path.count(",") == 2
    assert chart.lines([chart.Series("one point", [0], [1.0])], x_name="x", y_name="y") == ""


def test_lines_of_one_colour_are_named_where_they_are_apart_from_all_others() -> None:
    high, low = [0.0, 1.0, 0.0], [0.0, 0.1, 0.0]
    same = [chart.Series(name, [0, 1, 2], y, tone="floor") for name, y in (("high", high), ("low", low))]
    own = chart.Series("own", [0, 1, 2], [0.0, 0.5, 0.0])
    root = ET.fromstring(chart.lines([own, *same], x_name="x", y_name="y"))
    names = {e.text: e for e in root.iter("text") if e.get("class") == "beside"}
    assert sorted(names) == ["high", "low"] and len({e.get("x") for e in names.values()}) == 1
    y = {name: float(e.get("y", 0)) for name, e in names.items()}
    drawn = {n: [float(c.get("cy", 0)) for c in root.iter("circle") if c[0].text.startswith(f"{n}:")][1] for n in y}
    assert y["high"] < drawn["high"] and y["low"] > drawn["low"], "each on the side where no line is"


def test_long_lines_are_thinned() -> None:
    series = chart.Series("loss", list(range(10_000)), [1.0] * 10_000)
    assert len(chart.lines([series], x_name="x", y_name="y")) < 30_000


def test_reliability_and_histogram_are_drawings() -> None:
    bins = [{"low": 0.8, "high": 0.9, "count": 10, "confidence": 0.85, "accuracy": 0.8}]
    ET.fromstring(chart.reliability(bins, bins))
    drawn = chart.histogram([3, 1], [0.0, 1.0, 2.0], threshold=1.0, x_name="x", y_name="y")
    tones = [e.get("class") for e in ET.fromstring(drawn).iter("rect")]
    assert tones == ["fill accent", "fill warn"]


@pytest.mark.parametrize("shape", [(5, 7, 1), (5, 7, 3), (200, 300, 3), (200, 300, 1)])
def test_pictures_become_data_uris(shape: tuple[int, int, int]) -> None:
    uri = picture.uri(np.zeros(shape, np.uint8))
    assert uri.startswith(("data:image/png;base64,", "data:image/jpeg;base64,")) and len(uri) < 4000


def test_strips_keep_pieces_apart() -> None:
    white = np.full((4, 4, 1), 255, np.uint8)
    joined = picture.strip([white, white], gap=2)
    assert joined.shape == (4, 10, 4)
    assert joined[:, 4:6, 3].max() == 0 and joined[:, :4].min() == 255


def test_percentages_do_not_claim_perfection() -> None:
    space = "\N{NO-BREAK SPACE}"
    assert words.percent(0.99999) == f"over 99.9{space}%"
    assert words.percent(1.0) == f"100.0{space}%"
    assert words.percent(0.00001) == f"under 0.1{space}%"
    assert words.score("cross_entropy", 0.2512) == "0.251"
    assert words.listed(["a", "b", "c"]) == "a, b and c" and words.listed([]) == ""


def test_a_level_line_is_drawn() -> None:
    level = chart.Series("accuracy", [1.0, 2.0], [0.0, 0.0])
    assert "<path" in chart.lines([level], x_name="step", y_name="accuracy", y_from=0.0)
