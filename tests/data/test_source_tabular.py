"""Tables of paths or bytes with labels: CSV, TSV, JSONL, Parquet, alone or beside a folder of pictures."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import polars
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from engram.core.errors import ConfigError, DataError
from engram.data.source import read
from engram.data.source.tabular import read_sheet


def picture(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("L", (4, 4)).save(path)
    return path


def png() -> bytes:
    content = io.BytesIO()
    Image.new("L", (4, 4)).save(content, "png")
    return content.getvalue()


@pytest.fixture
def photos(tmp_path) -> Path:
    for name in ("s1/1.png", "s1/2.png", "s2/3.png", "s2/4.png"):
        picture(tmp_path / name)
    return tmp_path


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def test_paths_relative_to_the_table_and_a_split_column(photos):
    table = read(
        write(
            photos / "t.csv", "file,who,split\ns1/1.png,s1,Train\ns1/2.png,s1,test\ns2/3.png,s2,train\ns2/4.png,s2,\n"
        )
    )
    assert list(table.columns) == ["file", "who"]
    assert table.columns["file"].kind == "path" and Path(table.columns["file"].values[0]).is_file()
    assert table.split.tolist() == ["train", "test", "train", ""]


@pytest.mark.parametrize("names", [("1.png", "2.png", "3.png", "4.png"), ("1", "2", "3", "4"), ("x/s1/1.png", "2.png")])
def test_a_table_beside_the_pictures_names_them_with_or_without_folder_and_extension(photos, names):
    write(photos / "labels.csv", "image_id,kind\n" + "".join(f"{name},k{i % 2}\n" for i, name in enumerate(names)))
    table = read(photos)
    assert [Path(path).stem for path in table.columns["image_id"].values] == list("1234")[: len(names)]
    assert "labels.csv" in table.notes[0]
    assert read(photos / "labels.csv").columns["image_id"].values == table.columns["image_id"].values


def test_a_name_that_several_pictures_have_is_refused(photos):
    picture(photos / "s2/1.png")
    write(photos / "t.csv", "name,kind\n1.png,a\n4.png,b\n")
    with pytest.raises(DataError, match="relative to the table"):
        read(photos / "t.csv")


def test_one_table_per_split_and_a_form_for_answers(photos):
    write(photos / "train.csv", "id,kind\n1,a\n2,b\n3,a\n")
    write(photos / "test.csv", "id\n4\n")
    write(photos / "sample_submission.csv", "id,kind\n4,a\n")
    table = read(photos, target=())
    assert table.columns["kind"].values == ["a", "b", "a", None]
    assert table.split.tolist() == ["train"] * 3 + ["test"]
    write(photos / "other.csv", "id,kind\n1,a\n2,b\n")
    with pytest.raises(DataError, match="Name the one to use"):
        read(photos)


def test_tables_in_split_folders_name_the_pictures_there(tmp_path):
    for split in ("train", "test"):
        picture(tmp_path / split / "1.png"), picture(tmp_path / split / "2.png")
        write(tmp_path / split / "_classes.csv", "filename, cat, dog\n1.png,1,0\n2.png,1,1\n")
    table = read(tmp_path)
    assert list(table.columns) == ["filename", "cat", "dog"] and table.columns["dog"].values == [0, 1, 0, 1]
    assert table.split.tolist() == ["train", "train", "test", "test"]
    assert "train" in table.columns["filename"].values[0]


def test_rows_without_label_or_picture_are_left_out_with_a_warning(photos):
    path = write(photos / "t.csv", "path,kind\ns1/1.png,a\ns1/2.png,\ns2/3.png,b\ngone.png,a\n")
    table = read(path)
    assert table.columns["kind"].values == ["a", "b"]
    where = {f.kind: f.where for f in table.findings if f.severity == "warning"}
    assert where["missing_file"] == ("gone.png",) and where["missing_label"][0].endswith("2.png")
    with pytest.raises(DataError, match="no row of"):
        read(write(photos / "u.csv", "path,kind\ns1/1.png,\ns1/2.png,\n"))
    with pytest.raises(DataError, match="none was found in or below"):
        read(write(photos / "v.csv", "path,kind\nx.png,a\ny.png,b\n"))


def test_unknown_split_values_are_named_and_another_column_can_be_chosen(photos):
    path = write(photos / "t.csv", "path,kind,split,part\ns1/1.png,a,train,train\ns1/2.png,b,hold-me,test\n")
    with pytest.raises(DataError, match="'hold-me'"):
        read(path)
    assert read(path, split="part").split.tolist() == ["train", "test"]
    with pytest.raises(ConfigError, match="did you mean 'part'"):
        read(path, split="prt")


def test_groups_by_column(photos):
    path = write(photos / "t.csv", "path,kind,patient\ns1/1.png,a,7\ns1/2.png,b,\ns2/3.png,a,7\ns2/4.png,b,\n")
    table = read(path, group="patient")
    one, two, three, four = table.group.tolist()
    assert one == three and len({one, two, four}) == 3
    assert "patient" not in table.columns
    with pytest.raises(ConfigError, match="column"):
        read(path, group="patent")


def test_several_labels_in_one_text(photos):
    text = "path,kind\ns1/1.png,cat|dog\ns1/2.png,dog\ns2/3.png,cat | bird\ns2/4.png,cat\n"
    column = read(write(photos / "t.csv", text)).columns["kind"]
    assert column.kind == "names" and column.values == [["cat", "dog"], ["dog"], ["cat", "bird"], ["cat"]]
    towns = 'path,kind\ns1/1.png,"Paris, Texas"\ns1/2.png,"Rome, Italy"\n'
    assert read(write(photos / "u.csv", towns)).columns["kind"].kind == "text"


def test_bytes_in_parquet_and_lists_in_jsonl(tmp_path):
    frame = polars.DataFrame({"image": [{"bytes": png(), "path": "x.png"}] * 2, "label": [3, 4]})
    frame.write_parquet(tmp_path / "t.parquet")
    table = read(tmp_path / "t.parquet")
    assert table.columns["image"].kind == "bytes" and table.columns["label"].values == [3, 4]
    picture(tmp_path / "1.png"), picture(tmp_path / "2.png")
    rows = [{"path": "1.png", "tags": ["a", "b"]}, {"path": "2.png", "tags": []}]
    lines = write(tmp_path / "t.jsonl", "\n".join(map(json.dumps, rows)))
    assert read(lines).columns["tags"].values == [["a", "b"], []]


def test_separators_encodings_headers_and_numbers(tmp_path):
    for name in ("é1.png", "é2.png"):
        picture(tmp_path / name)
    text = "path;code;size\né1.png;007;1.5\né2.png;012;2\n"
    (tmp_path / "latin.csv").write_bytes(text.encode("latin-1"))
    (tmp_path / "bom.csv").write_bytes(text.encode("utf-8-sig"))
    (tmp_path / "wide.csv").write_bytes(text.encode("utf-16"))
    for name in ("latin.csv", "bom.csv", "wide.csv"):
        columns = read_sheet(str(tmp_path / name)).columns
        assert columns == {"path": ["é1.png", "é2.png"], "code": ["007", "012"], "size": [1.5, 2.0]}
    bare = read(write(tmp_path / "bare.tsv", "é1.png\ta\né2.png\tb\n"))
    assert bare.columns["column_2"].values == ["a", "b"]


@pytest.mark.parametrize("name", ["t.csv", "t.jsonl", "t.parquet"])
@pytest.mark.parametrize("content", [b"", b"\0\1\2", b'a,b\n1,2\n3,4,5,6\n{"'])
def test_damaged_tables_are_named(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError):
        read(tmp_path / name)


TEXT = st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1, max_size=8).map(lambda text: f"x{text}")


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=st.lists(st.tuples(TEXT, st.integers(-(2**40), 2**40)), min_size=1, max_size=6), line=st.booleans())
def test_csv_returns_what_was_written(tmp_path, rows, line):
    with open(tmp_path / "t.csv", "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n" if line else "\r\n")
        writer.writerows([("text", "number"), *rows])
    assert read_sheet(str(tmp_path / "t.csv")).columns == {"text": [t for t, _ in rows], "number": [n for _, n in rows]}


WHOLE = {
    "t.csv": b'path,label,split\n"a.png",x,train\nb.png,"y|z",test\na.png,,val\n',
    "t.jsonl": b'{"image": "a.png", "label": ["x"]}\n{"image": "b.png", "label": []}\n',
}


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(name=st.sampled_from([*WHOLE]), at=st.integers(0, 60), out=st.integers(0, 9), put=st.binary(max_size=5))
def test_any_damage_is_a_clear_error_or_a_table(tmp_path, name, at, out, put):
    picture(tmp_path / "a.png"), picture(tmp_path / "b.png")
    (tmp_path / name).write_bytes(WHOLE[name][:at] + put + WHOLE[name][at + out :])
    try:
        table = read(tmp_path / name)
    except DataError as error:
        assert str(tmp_path) in str(error) or "split column" in str(error)
    else:
        assert len({len(column) for column in table.columns.values()}) == 1
