"""Tables as people hand them over: each fault is named, or mended and said, and never passed over."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars
import pytest

from engram.core.errors import DataError
from engram.data.source import read
from engram.data.table import Table

HEADER = "id,price,name,kind\n"
ROWS = "".join(f"{n},{n * 1.5},name {n % 4},c{n % 3}\n" for n in range(40))


def table(folder: Path, text: str, name: str = "t.csv", encoding: str = "utf-8") -> Table:
    (folder / name).write_bytes(text.encode(encoding))
    return read(folder / name, target=())


def kinds(table: Table) -> dict[str, str]:
    return {finding.kind: finding.severity for finding in table.findings}


def first(table: Table, name: str, number: int = 3) -> list:
    return table.columns[name].values[:number]


def test_lines_of_another_number_of_fields_are_left_out_and_named(tmp_path):
    found = table(tmp_path, HEADER + ROWS + "1,2,3\n7,8,a,b,c\n" + ROWS)
    assert len(found) == 80 and kinds(found) == {"ragged_lines": "warning"}
    assert found.findings[0].where == ("line 42: 3 fields", "line 43: 5 fields")
    with pytest.raises(DataError, match=r"expected 2 fields in every line of .*line 3: 3 fields"):
        table(tmp_path, "a,b\n1,2\n1,2,3\n2,3,4,5\n5,6\n")


def test_quoted_line_breaks_and_separators_belong_to_a_text(tmp_path):
    found = table(tmp_path, "t,y\n" + "".join(f'"line {n}\nnext, ""so""",{n % 2}\n' for n in range(20)) + "short\n")
    assert len(found) == 20 and first(found, "t", 1) == ['line 0\nnext, "so"']
    assert found.findings[0].where == ("line 42: 1 fields",)
    lines = [f"a,{n}\n" for n in range(40)]
    with pytest.raises(DataError, match=r"line 12: 1 fields in 30 lines\). Close quotes"):
        table(tmp_path, "t,n\n" + "".join([*lines[:10], '"a,10\n', *lines[11:]]))


def test_what_stands_around_a_table_is_no_part_of_it(tmp_path):
    found = table(tmp_path, "Sales 2024\nby the office\n\n" + HEADER + ROWS + "Total,1234,,\n\n")
    assert len(found) == 40 and first(found, "id") == [0, 1, 2] and kinds(found) == {"footer": "warning"}
    assert any("2 lines above the header" in note and "Sales 2024" in note for note in found.notes)
    found = table(tmp_path, "Sales 2024,,,\n,,,\n" + HEADER + ROWS)
    assert (
        first(found, "id") == [0, 1, 2] and len(found) == 40 and "1 line above the header is no part" in found.notes[0]
    )
    found = table(tmp_path, "quality,n\n" + "".join(f"{('low', 'average')[n % 2]},{n}\n" for n in range(20)))
    assert len(found) == 20 and not found.findings
    found = table(tmp_path, HEADER + ROWS + ",,,\n,,,\n")
    assert len(found) == 40 and kinds(found) == {"empty_rows": "info"}


@pytest.mark.parametrize("header", ["id,price,name,kind,\n", HEADER])
def test_a_separator_that_ends_every_line_makes_no_column(tmp_path, header):
    found = table(tmp_path, header + ROWS.replace("\n", ",\n"))
    assert list(found.columns) == ["id", "price", "name", "kind"] and len(found) == 40


def test_names_of_rows_without_a_header_and_headers_that_are_none(tmp_path):
    found = table(tmp_path, "a,b\n" + "".join(f"r{n},{n},{n * 2}\n" for n in range(20)))
    assert first(found, "row", 2) == ["r0", "r1"] and first(found, "b") == [0, 2, 4]
    found = table(tmp_path, "".join(f"{n}.5,{n * 2}.25,-{n}.5\n" for n in range(30)))
    assert len(found) == 30 and list(found.columns) == ["column_1", "column_2", "column_3"]
    assert any("is a row and no header" in note for note in found.notes)


def test_equal_names_of_columns_are_told_apart(tmp_path):
    found = table(tmp_path, "a,a,b,\n" + "".join(f"{n},{n + 1},{n},z\n" for n in range(30)))
    assert list(found.columns) == ["a", "a_2", "b", "column_4"] and kinds(found)["duplicate_header"] == "warning"


@pytest.mark.parametrize(
    ("text", "numbers", "said"),
    [
        ("x;{n},5;a", [0.5, 1.5, 2.5], "decimal commas"),
        ("x,1.00{n},a", [1.0, 1.001, 1.002], ""),
        ('x,"1.00{n},25 €",a', [1000.25, 1001.25, 1002.25], "a currency and decimal commas"),
        ('x,"$1,00{n}.25",a', [1000.25, 1001.25, 1002.25], "a currency and thousands separators"),
        ('x,"1,00{n}",a', [1000, 1001, 1002], "thousands separators"),
        ('x,"0,00{n}",a', [0, 0.001, 0.002], "decimal commas"),
        ("x,1 00{n},a", [1000, 1001, 1002], "grouped digits"),
        ("x,{n}%,a", [0, 1, 2], "percent signs"),
        ("x,({n}.5),a", [-0.5, -1.5, -2.5], "brackets for less than zero"),
        ("x, {n} ,a", [0, 1, 2], ""),
    ],
)
def test_numbers_as_countries_write_them(tmp_path, text, numbers, said):
    separator = ";" if ";" in text else ","
    found = table(tmp_path, f"t{separator}n{separator}u\n" + "".join(text.format(n=n) + "\n" for n in range(10)))
    assert first(found, "n") == numbers and found.columns["n"].kind == "number"
    assert [note for note in found.notes if "is read as numbers" in note] == [
        f"The column n is read as numbers with {said}, such as {found_cell(text)!r}."
    ] * bool(said)


def found_cell(text: str) -> str:
    return text.format(n=0).removeprefix("x").strip(",;").removesuffix("a").strip(',;"')


def test_missing_odd_and_infinite_cells_among_numbers(tmp_path):
    marks = ["NA", "?", "null", "-", "", "#N/A"]
    found = table(tmp_path, "a,b\n" + "".join(f"{n},{n * 3 if n % 5 else marks[n % 6]}\n" for n in range(60)))
    assert first(found, "b", 6) == [None, 3, 6, 9, 12, None] and not found.findings
    found = table(tmp_path, "a,b\n" + "".join(f"{n},{n * 3 if n != 7 else 'unknown'}\n" for n in range(60)))
    assert found.columns["b"].kind == "number" and found.columns["b"].values[7] is None
    assert found.findings[0].kind == "mixed_types" and found.findings[0].where == ("b[7]",)
    assert "'unknown'" in found.findings[0].message
    found = table(tmp_path, "a,b\n" + "".join(f"{n},{n * 3 if n % 4 else 'big'}\n" for n in range(120)))
    assert found.columns["b"].kind == "text" and "30 of 120 cells" in found.findings[0].message
    assert "all of them are read as texts: 'big'" in found.findings[0].message
    found = table(tmp_path, "a,b\n" + "".join(f"{n},{'inf' if n % 9 == 0 else n}\n" for n in range(60)))
    assert np.isinf(found.columns["b"].values[0])


def test_texts_that_begin_with_a_zero_and_classes_among_numbers_stay_texts(tmp_path):
    found = table(tmp_path, "zip,class\n" + "".join(f"{n:05d},{n % 3 if n != 5 else 'other'}\n" for n in range(60)))
    assert first(found, "zip", 2) == ["00000", "00001"] and found.columns["class"].kind == "text"


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "latin-1"])
@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
def test_separators_and_encodings(tmp_path, encoding, separator):
    text = (HEADER + ROWS.replace("name", "eine ganze größe")).replace(",", separator)
    found = table(tmp_path, text, encoding=encoding)
    assert first(found, "name", 1) == ["eine ganze größe 0"] and first(found, "price") == [0, 1.5, 3]


def test_spreadsheets_need_a_reader_or_are_to_be_saved_as_csv(tmp_path):
    (tmp_path / "t.xlsx").write_bytes(b"PK\3\4")
    with pytest.raises(DataError, match=r"t\.xlsx"):
        read(tmp_path / "t.xlsx")


def test_an_empty_file_is_named(tmp_path):
    (tmp_path / "t.csv").touch()
    with pytest.raises(DataError, match="is empty"):
        read(tmp_path / "t.csv")


def test_columns_are_packed_and_give_plain_values(tmp_path):
    found = table(tmp_path, HEADER + ROWS)
    price = found.columns["price"].values
    assert type(price[1]) is float and type(found.columns["id"].values[1]) is int and price[-1] == 58.5
    assert price.series.dtype == polars.Float64 and list(price) == [n * 1.5 for n in range(40)]
    with pytest.raises(IndexError):
        price[40]


def test_numbers_of_a_large_table_are_read_as_such_unless_a_cell_is_none(tmp_path):
    rows = [f"{n},{n / 4},{n % 100 + 100},{n},{n}\n" for n in range(40_000)]
    rows[25_001] = "25001,1.5,007,1_0,2.5\n"
    found = table(tmp_path, "whole,part,code,odd,both\n" + "".join(rows))
    assert [column.kind for column in found.columns.values()] == ["number", "number", "text", "number", "number"]
    assert first(found, "whole", 2) == [0, 1] and found.columns["code"].values[25_001] == "007"
    assert found.columns["both"].values[25_001] == 2.5 and found.columns["odd"].values[25_001] is None
    assert kinds(found) == {"mixed_types": "warning"} and found.findings[0].where == ("odd[25001]",)
    rows[25_001] = "25001,1.5,100,10,2\n"
    found = table(tmp_path, "".join(rows))
    assert len(found) == 40_000 and {column.kind for column in found.columns.values()} == {"number"}
    found = table(tmp_path, "whole,part,code,odd,both\n" + "".join(rows))
    assert {column.kind for column in found.columns.values()} == {"number"} and first(found, "part", 2) == [0, 0.25]
