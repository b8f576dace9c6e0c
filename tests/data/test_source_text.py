"""Texts in every form: class folders, corpora, labelled lines; their encodings."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from text_files import kinds, write

from engram.core.errors import DataError
from engram.data import split
from engram.data.source import encodings, read
from engram.data.source.encodings import Encoding

WORDS = ["the quick brown fox", "jumps over", "the lazy dog", "while it sleeps", "in the warm sun", "of a long day"]


def prose(lines: int) -> str:
    return "".join(f"{WORDS[n % 6]} and {WORDS[(n * 7) % 5]} {n}.\n{chr(10) * (n % 9 == 0)}" for n in range(lines))


# Folders


def test_a_folder_of_texts_per_class_with_and_without_splits(tmp_path):
    for name in ("pos/1.txt", "pos/2.txt", "neg/3.TXT", "README.txt"):
        write(tmp_path / "a" / name, f"text of {name}\r\n")
    table = read(tmp_path / "a")
    assert table.columns["text"].values[:] == ["text of neg/3.TXT\n", "text of pos/1.txt\n", "text of pos/2.txt\n"]
    assert table.columns["label"].values == ["neg", "pos", "pos"] and "2 class folders" in table.notes[0]
    assert table.columns["text"].lazy and table.columns["text"].where(1) == "pos/1.txt"
    assert kinds(table) == {"about_files": "info"} and table.findings[0].where == ("README.txt",)
    for name in ("train/pos/1.txt", "train/neg/2.txt", "test/pos/3.txt", "test/neg/4.txt"):
        write(tmp_path / "b" / name, name)
    assert read(tmp_path / "b").split.tolist() == ["test", "test", "train", "train"]
    assert len(read(tmp_path / "b", group=r"^(\d)").group) == 4


def test_other_formats_are_named_and_marked_up_texts_are_read_where_no_plain_ones_are(tmp_path):
    write(tmp_path / "a.md", "# One"), write(tmp_path / "b.pdf", b"%PDF"), write(tmp_path / "README.md", "about")
    table = read(tmp_path)
    assert table.columns["text"].values[:] == ["# One"] and kinds(table)["unread_format"] == "warning"
    write(tmp_path / "c.txt", "plain")
    assert read(tmp_path).columns["text"].values[:] == ["plain"]


def test_tables_that_are_a_split_each(tmp_path):
    (
        write(tmp_path / "train.csv", 'text,label\n"so, good",1\nbad,0\n'),
        write(tmp_path / "dev.csv", "text,label\nfine,1\n"),
    )
    write(tmp_path / "sample_submission.csv", "id,label\n1,0\n")
    table = read(tmp_path)
    assert table.split.tolist() == ["train", "train", "val"] and "not read: sample_submission.csv" in table.notes[0]
    assert table.columns["text"].values == ["so, good", "bad", "fine"]
    write(tmp_path / "train.jsonl", '{"text": "x", "label": 1}\n')
    with pytest.raises(DataError, match="in one form"):
        read(tmp_path)


# Running text


def test_running_text_is_read_in_consecutive_pieces_and_divided_by_position(tmp_path):
    text = prose(12_000)
    assert len(text) > 256 << 10
    table = read(write(tmp_path / "book.txt", text))
    column = table.columns["text"]
    assert "".join(column.values) == text and table.split is None
    assert all(piece.endswith("\n") for piece in column.values)
    row = len(column) - 1
    line = int(column.where(row).rpartition(":")[2])
    assert column.values[row].startswith(text.split("\n")[line - 1])
    digests = np.arange(16 * len(table), dtype=np.uint8).reshape(-1, 16)
    rows = split.assign(labels=None, digests=digests, position=table.position).rows
    sizes = {name: sum(len(column.values[row]) for row in some) / len(text) for name, some in rows.items()}
    assert sizes == pytest.approx({"train": 0.85, "val": 0.05, "test": 0.1}, abs=0.003)
    assert rows["train"].max() < rows["val"].min() <= rows["val"].max() < rows["test"].min()


def test_what_a_given_test_set_leaves_open_is_cut_from_the_end_of_the_training_text(tmp_path):
    write(tmp_path / "wiki.train.txt", prose(100)), write(tmp_path / "wiki.test.txt", prose(60))
    table = read(tmp_path)
    assert set(table.split) == {"train", "test"} and "given splits" in table.notes[0]
    digests = np.arange(16 * len(table), dtype=np.uint8).reshape(-1, 16)
    rows = split.assign(labels=None, digests=digests, given=table.split, position=table.position).rows
    assert [table.columns["text"].where(row).partition(":")[0] for row in rows["val"]] == ["wiki.train.txt"]
    assert set(table.split[rows["test"]]) == {"test"} and len(rows["test"]) == (table.split == "test").sum()


def test_many_files_are_documents_and_pieces_of_one_stay_together(tmp_path):
    for number in range(25):
        write(tmp_path / f"{number:02}.txt", prose(9_000 if number == 7 else 5))
    table = read(tmp_path)
    assert table.position is None and (table.group == "07.txt").sum() > 3 and len(set(table.group)) == 25
    assert table.columns["text"].where(0) == "00.txt:1"


def test_marks_end_documents(tmp_path):
    table = read(write(tmp_path / "stories.txt", "One.\nTwo.<|endoftext|>\nThree.<|endoftext|>"))
    assert table.columns["text"].values[:] == ["One.\nTwo.", "\nThree."] and table.position is None
    assert table.columns["text"].where(1) == "stories.txt:2"
    (
        write(tmp_path / "both/train.txt", "One.<|endoftext|>Two."),
        write(tmp_path / "both/valid.txt", "Three.<|endoftext|>"),
    )
    both = read(tmp_path / "both")
    assert both.columns["text"].values[:] == ["One.", "Two.", "Three."] and both.split.tolist() == ["train"] * 2 + [
        "val"
    ]


def test_a_short_text_is_divided_where_it_should_be_however_its_paragraphs_lie(tmp_path):
    table = read(write(tmp_path / "t.txt", "word " * 150 + "\n\n" + "other " * 200))
    sizes = [len(text) for text in table.columns["text"].values]
    assert sizes == pytest.approx([1659, 98, 195], abs=60) and table.position.tolist() == [0, 0.85, 0.9]
    assert len(read(write(tmp_path / "u.txt", "a short note\n" * 10))) == 1


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-be", "cp1252"])
def test_a_line_of_megabytes_is_cut_between_characters(tmp_path, encoding):
    text = "naïve café tea " * 40_000
    if encoding in ("utf-8", "utf-16"):
        text = "äöü€" * 150_000 if encoding == "utf-8" else "🙂ä🙂🙂" * 50_000
    values = read(write(tmp_path / "long.txt", text.encode(encoding))).columns["text"].values
    assert "".join(values) == text and max(map(len, values)) < 140_000


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    text=st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r\0"), min_size=300, max_size=900),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-32"]),
)
def test_the_pieces_of_any_text_are_the_text(tmp_path, text, encoding):
    path = write(tmp_path / "any.txt", text.encode(encoding))
    try:
        table = read(path)
    except DataError as error:
        assert "control characters" in str(error)
    else:
        assert "\t" in text or "".join(table.columns["text"].values) == text


# Encodings


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("plain", Encoding()),
        ("Größe", Encoding()),
        ("Größe".encode("utf-8-sig"), Encoding("utf-8", 3)),
        ("Größe und Maß".encode("cp1252"), Encoding("cp1252")),
        ("“quotes” and € — all of them".encode("cp1252"), Encoding("cp1252")),
        ("Größe".encode("utf-16"), Encoding("utf-16-le", 2)),
        ("Some longer words".encode("utf-16-be"), Encoding("utf-16-be")),
        ("Größe, Maß und Fuß, schön".encode() + b"\xff", Encoding("utf-8", 0, 1)),
        ("two\0zeros\0" + " within a text of some length" * 4, Encoding("utf-8", 0, 0, 2)),
        ("🙂 שלום 你好", Encoding()),
        ("", Encoding()),
    ],
)
def test_encodings_are_told_from_bytes(content, expected):
    content = content if isinstance(content, bytes) else content.encode()
    assert encodings.of_content(content, name="x") == expected


@pytest.mark.parametrize("content", ["Привет, как дела?".encode("cp1251"), "こんにちは、世界".encode("shift-jis")])
def test_an_encoding_that_cannot_be_told_is_refused_rather_than_read_wrong(content):
    with pytest.raises(DataError, match=r"another encoding.*iconv"):
        encodings.of_content(content, name="x")


@settings(max_examples=60, deadline=None)
@given(text=st.text(st.characters(exclude_categories=["Cs", "Cc"])), size=st.sampled_from([1, 2, 3, 1 << 22]))
def test_utf8_is_known_however_it_is_cut_into_chunks(text, size):
    content = text.encode()
    old, encodings.CHUNK = encodings.CHUNK, size
    try:
        found = encodings.of_content(content, name="x")
    finally:
        encodings.CHUNK = old
    assert found.name == "utf-8" and found.damaged == 0
    assert found.decode(content[found.mark :]) == text.removeprefix("\ufeff")


def test_what_is_no_plain_utf8_is_named_and_files_stay_as_they_are(tmp_path):
    content = {
        "wide.txt": "Größe\n".encode("utf-16"),
        "latin.txt": "Größe und Maß\n".encode("cp1252"),
        "mark.txt": "Größe\n".encode("utf-8-sig"),
        "binary.txt": bytes(range(256)) * 4,
    }
    for name, some in content.items():
        write(tmp_path / ("a" if name < "l" else "b") / name, some)
    table = read(tmp_path)
    found = {finding.kind: finding.where for finding in table.findings}
    assert found["encoding"] == ("b/mark.txt: with a byte order mark", "b/wide.txt: in UTF-16")
    assert found["wrong_encoding"] == ("b/latin.txt: in Windows-1252",)
    values = table.columns["text"].values
    assert values[1:] == ["Größe und Maß\n", "Größe\n", "Größe\n"]
    with pytest.raises(DataError, match="control characters"):
        values[0]
    assert (tmp_path / "b/latin.txt").read_bytes() == content["latin.txt"]


def test_files_that_are_no_data_are_named(tmp_path):
    for name, content, message in (
        ("binary.txt", bytes(range(256)), "control characters"),
        ("empty.txt", b"", "is empty"),
        ("mark.txt", b"\xef\xbb\xbf", "is empty"),
        ("some.zip", b"PK", "Unpack"),
    ):
        with pytest.raises(DataError, match=message):
            read(write(tmp_path / name, content))
    write(tmp_path / "all/empty.txt", b"")
    with pytest.raises(DataError, match="are empty"):
        read(tmp_path / "all")


# Tables and labelled lines


def test_tables_without_header_with_quotes_and_labelled_lines(tmp_path):
    label_first = 'ham\tGo until jurong point\nspam\tFree entry, "win\nham\tOk lar... Joking\nspam\tWINNER!!\n' * 3
    for name in ("bare.tsv", "bare.txt"):
        table = read(write(tmp_path / name, label_first))
        assert len(table) == 12 and table.columns["column_1"].values[:2] == ["ham", "spam"]
        assert table.columns["column_2"].values[1] == 'Free entry, "win'
    quoted = read(write(tmp_path / "q.csv", 'text,label\n"He said ""no"",\nand left",a\nplain,b\n')).columns
    assert quoted["text"].values == ['He said "no",\nand left', "plain"] and quoted["label"].values == ["a", "b"]
    sentences = read(write(tmp_path / "s.csv", '"a first row that is a whole sentence , no name",1\n"another one",0\n'))
    assert len(sentences) == 2
    lines = read(write(tmp_path / "fast.txt", "__label__pos good film\n__label__neg __label__long bad\n\n")).columns
    assert lines["text"].values == ["good film", "bad"] and lines["label"].values == [["pos"], ["neg", "long"]]


def test_a_table_that_names_text_files(tmp_path):
    write(tmp_path / "a/1.txt", "one text"), write(tmp_path / "a/2.txt", "another".encode("utf-16"))
    path = write(tmp_path / "t.csv", "file,label\na/1.txt,x\na/2.txt,y\ngone.txt,x\n")
    table = read(path)
    assert table.columns["file"].values[:] == ["one text", "another"] and table.columns["file"].where(1) == "a/2.txt"
    assert table.columns["label"].values == ["x", "y"] and set(kinds(table)) == {"missing_file", "encoding"}
    with pytest.raises(DataError, match="the files that the column file"):
        read(write(tmp_path / "u.csv", "file,label\nx.txt,x\ny.txt,y\n"))


def test_columns_that_are_only_numbered_or_called_like_a_value_have_a_header(tmp_path):
    table = read(write(tmp_path / "s.csv", "smoker,age\nsmoker,50\nhealthy,40\nsmoker,30\n"))
    assert list(table.columns) == ["smoker", "age"] and len(table) == 3
    table = read(write(tmp_path / "t.csv", "0,1,2\n0,1,a\n0,1,b\n"))
    assert list(table.columns) == ["0", "1", "2"] and len(table) == 2


def test_rows_of_text_without_a_label_are_left_out(tmp_path):
    table = read(write(tmp_path / "t.csv", "text,label\nfine day,a\nno label,\nbad day,b\n"))
    assert table.columns["text"].values == ["fine day", "bad day"] and kinds(table)["missing_label"] == "warning"


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("t.jsonl", '{"text": "a"}\n{"text": \n', "line 2 of"),
        ("t.jsonl", '{"text": "a"}\n["b"]\n', "rows of one kind"),
        ("t.jsonl", "", "holds none"),
        ("t.json", '{"a": 1}', "a list of rows"),
    ],
)
def test_damaged_records_are_named(tmp_path, name, content, message):
    with pytest.raises(DataError, match=message):
        read(write(tmp_path / name, content))


def test_texts_in_memory_and_by_path(tmp_path):
    texts, labels = ["good film", "bad film", "so so"], ["p", "n", "n"]
    for data in (
        (texts, labels),
        list(zip(texts, labels, strict=True)),
        {"text": texts, "label": labels},
        [{"text": text, "label": label} for text, label in zip(texts, labels, strict=True)],
        {"train": {"text": texts, "label": labels}},
        {"train": (texts, labels)},
    ):
        table = read(data)
        assert table.columns["text"].values == texts and table.columns["label"].values == labels
    both = read({"test": [{"text": "x", "label": "p"}], "train": {"text": texts, "label": labels}})
    assert both.split.tolist() == ["train"] * 3 + ["test"] and both.columns["text"].values == [*texts, "x"]
    paths = [write(tmp_path / f"{number}.txt", text) for number, text in enumerate(texts)]
    assert (
        read((paths, labels)).columns["text"].values[:] == read(([*map(str, paths)], labels)).columns["text"].values[:]
    )
    assert read((paths, labels)).columns["text"].values[:] == texts
    with pytest.raises(DataError, match="3 texts and 2 labels"):
        read((texts, labels[:2]))
