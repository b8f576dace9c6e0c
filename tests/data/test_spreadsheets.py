"""Spreadsheets and data frames of pandas: what people keep their tables in is read like any other table."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engram.data import source
from engram.data.series.panel import histories
from engram.data.table import Table

NAMES = {
    "[Content_Types].xml": '<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">'
    '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
    '<Default Extension="xml" ContentType="application/xml"/>'
    '<Override PartName="/xl/workbook.xml" '
    'ContentType="application/vnd.openxmlformats-officedocument.spreadsheetml.sheet.main+xml"/>'
    '<Override PartName="/xl/styles.xml" '
    'ContentType="application/vnd.openxmlformats-officedocument.spreadsheetml.styles+xml"/></Types>',
    "_rels/.rels": '<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships"><Relationship '
    'Id="r1" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/officeDocument" '
    'Target="xl/workbook.xml"/></Relationships>',
    "xl/workbook.xml": '<workbook xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main" '
    'xmlns:r="http://schemas.openxmlformats.org/officeDocument/2006/relationships"><sheets>'
    '<sheet name="Sales" sheetId="1" r:id="r1"/><sheet name="Notes" sheetId="2" r:id="r1"/></sheets></workbook>',
    "xl/_rels/workbook.xml.rels": '<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">'
    '<Relationship Id="r1" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/worksheet" '
    'Target="worksheets/sheet1.xml"/><Relationship Id="r2" '
    'Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/styles" Target="styles.xml"/>'
    "</Relationships>",
    "xl/styles.xml": '<styleSheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main">'
    '<cellXfs count="2"><xf numFmtId="0"/><xf numFmtId="14"/></cellXfs></styleSheet>',
}


def book(path: Path, rows: list[list[Any]]) -> Path:
    """Write a workbook. A tuple is a date, as the number of its day."""

    def cell(value: Any) -> str:
        if value is None:
            return "<c/>"
        if isinstance(value, str):
            return f'<c t="inlineStr"><is><t>{value}</t></is></c>'
        return f'<c s="1"><v>{value[0]}</v></c>' if isinstance(value, tuple) else f"<c><v>{value}</v></c>"

    lines = "".join(f"<row>{''.join(map(cell, row))}</row>" for row in rows)
    sheet = f'<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><sheetData>{lines}'
    with zipfile.ZipFile(path, "w") as file:
        for name, text in {**NAMES, "xl/worksheets/sheet1.xml": f"{sheet}</sheetData></worksheet>"}.items():
            file.writestr(name, text)
    return path


def test_a_spreadsheet_is_read_by_the_rules_of_text_with_separators(tmp_path: Path) -> None:
    pytest.importorskip("fastexcel")
    rows = [[(45292 + n,), f"00{n % 10}", n * 1.5 if n != 7 else "closed", n % 3] for n in range(60)]
    head = [["Sales of 2024", None, None, None], [None] * 4, ["day", "shop", "sales", "sales"]]
    table: Table = source.read(book(tmp_path / "b.xlsx", [*head, *rows, ["Total", None, 99, 3]]), target=())
    assert list(table.columns) == ["day", "shop", "sales", "sales_2"] and len(table) == 60
    assert table.columns["day"].values[1] == "2024-01-02 00:00:00"
    assert table.columns["shop"].values[1] == "001" and table.columns["sales"].values[:2] == [0, 1.5]
    assert {finding.kind for finding in table.findings} == {"mixed_types", "duplicate_header", "footer"}
    assert "the first sheet is read, Sales; not read: Notes" in table.notes[0]


def test_frames_of_pandas_hold_missing_values_categories_times_and_an_index() -> None:
    pandas = pytest.importorskip("pandas")
    times = pandas.date_range("2024-01-01", periods=30, freq="D", name="day")
    frame = pandas.DataFrame(
        {
            "count": pandas.array([1, None] * 15, dtype="Int64"),
            "kind": pandas.Categorical([1, 2, None] * 10),
            "name": ["a", None, "b"] * 10,
            "sold": [pandas.Timestamp("2024-02-01"), pandas.NaT] * 15,
            "took": pandas.to_timedelta([90, None] * 15, unit="s"),
            "sure": pandas.array([True, None] * 15, dtype="boolean"),
        },
        index=times,
    )
    table: Table = source.read(frame, target=())
    assert [column.kind for column in table.columns.values()] == [
        "text",
        "number",
        "text",
        "text",
        "text",
        "number",
        "number",
    ]
    firsts = {name: list(column.values[:3]) for name, column in table.columns.items()}
    assert firsts["count"] == [1, None, 1] and firsts["kind"] == ["1", "2", None] and firsts["took"] == [90, None, 90]
    assert firsts["name"] == ["a", None, "b"] and firsts["sold"][1] is None and firsts["sure"] == [True, None, True]
    (history,) = histories(source.read(frame[["took"]].ffill()), wishes={}).columns["series"].values
    assert history.clock.name == "day" and len(history) == 30
    twice = pandas.DataFrame(np.arange(40).reshape(20, 2), columns=["a", "a"])
    assert list(source.read(twice, target=()).columns) == ["a", "a_2"]
