"""Times are read as they are written, whatever the form: what is written and read again is the same moment."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import numpy as np
import polars
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engram.data.table import Column
from engram.features._fields.moments import MomentField
from engram.features._moments import DAY, DAYS, PERIODS, SECOND, SERIAL, dates_of, read, serial, twin, written
from engram.features.text import Text

moments = st.datetimes(datetime(1970, 1, 1), datetime(2068, 12, 31), timezones=st.just(UTC))  # two digits tell the year
clocks = st.sampled_from(
    ["", " %H:%M", "T%H:%M", " %H:%M:%S", "T%H:%M:%S.%f", ", %I:%M %p", " %I:%M:%S %p", " %H:%M:%S,%f"]
)
zones = st.sampled_from([None, 0, 60, 330, -210])


def exactly(moment: datetime, form: str) -> int:
    """The moment as far as a form of `strftime` tells it."""
    kept = moment if "%f" in form else moment.replace(microsecond=0)
    kept = kept if "%S" in form else kept.replace(second=0)
    kept = kept if "%M" in form else kept.replace(hour=0, minute=0)
    return (kept - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)


@given(moments, st.sampled_from(DAYS), clocks, zones)
def test_every_form_with_every_clock_and_zone_is_the_moment_that_was_written(moment, form, clock, zone):
    local = moment if not clock or zone is None else moment.astimezone(timezone(timedelta(minutes=zone)))
    text = local.strftime(form + clock)
    if clock and zone is not None:
        text += "Z" if zone == 0 else local.strftime("%z")
    said = exactly(local.astimezone(UTC), form + clock)
    assert read(polars.Series([text]), [form]).to_list() == [said], text
    assert MomentField("t", formats=[form + clock.replace("T", " ")]).read_one(text) == pytest.approx(
        said / 1e6, abs=1e-6
    )


@given(st.lists(moments, min_size=1, max_size=40), st.sampled_from(DAYS), clocks)
def test_the_form_is_found_and_where_day_and_month_could_be_exchanged_that_is_said(some, form, clock):
    texts = [moment.strftime(form + clock) for moment in some]
    dates = dates_of(polars.Series(texts))
    assert dates.readable and not len(dates.unread) and dates.contradictory is None
    either = [read(polars.Series(texts), [one]).to_list() for one in (form, twin(form) or form)]
    assert dates.read().to_list() == either[0] or (dates.undecided and dates.read().to_list() == either[1])


@given(st.integers(-20_000, 40_000), st.sampled_from((*DAYS, *PERIODS, *SERIAL)), st.integers(0, 86_399))
def test_what_is_written_in_a_form_is_read_back(day, form, clock):
    if "%y" in form:
        day = day % 35_000  # 1970 to 2065
    if form in PERIODS:
        month = np.datetime64(day, "D").astype("datetime64[M]").astype(int)
        month -= {"%Y": month % 12, "%Y-quarter": month % 3}.get(form, 0)
        day = day - (day - 4) % 7 if "%V" in form else month.astype("datetime64[M]").astype("datetime64[D]").astype(int)
    moment = int(day) * DAY + clock * SECOND
    values = polars.Series([written(moment, form)])
    found = read(values.cast(polars.Float64) if form in SERIAL else values, [form]).to_list()
    assert found == [pytest.approx(moment, abs=SECOND // 1000)]


@given(st.lists(st.text(alphabet="0123456789-/.: TZJanFeb,+Q", max_size=24), min_size=1, max_size=20))
def test_anything_else_is_no_time_and_never_an_error(texts):
    dates = dates_of(polars.Series(texts, dtype=polars.String), (*DAYS, *PERIODS))
    if dates.forms:
        assert len(dates.read()) == len(texts)
    assert len(dates.zones) >= 1
    field = MomentField("t", formats=dates.forms)
    whole = field.read(polars.Series(texts, dtype=polars.String))
    np.testing.assert_array_equal(whole, [field.read_one(text) if text.strip() else np.nan for text in texts])


@settings(max_examples=30)
@given(st.lists(st.integers(10**15, 4 * 10**15), min_size=1, max_size=9), st.sampled_from([*SERIAL]))
def test_numbers_say_their_unit_by_their_size(some, form):
    unit, zero, *_ = SERIAL[form]
    numbers = polars.Series([(moment - zero) / unit for moment in some])
    found = serial(numbers.min(), numbers.max())
    assert found == form
    np.testing.assert_allclose(read(numbers, [form]).to_list(), some, atol=1e4 if form == "excel" else 1)


@pytest.mark.parametrize("form", ["%Y-%m-%d %H:%M", "%d/%m/%Y", "%B %d, %Y"])
def test_dates_are_no_texts(form):
    days = [(datetime(2024, 1, 1) + timedelta(days=n)).strftime(form) for n in range(60)]
    assert Text.matches(Column("d", days, "text")).score == 0
    assert Text.matches(Column("d", [f"it was {day}" for day in days], "text")).score > 0.5


def test_days_in_both_orders_contradict_one_another():
    texts = polars.Series(["13/01/2024", "01/14/2024", "02/03/2024"])
    assert dates_of(texts).contradictory == ("13/01/2024", "01/14/2024")
    assert dates_of(polars.Series(["13.01.2024", "01.02.2024"])).contradictory is None
