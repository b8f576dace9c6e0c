"""Parallel text and conversations in every form."""

from __future__ import annotations

import json

import polars
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from text_files import write

from engram.core.errors import ConfigError, DataError
from engram.data.infer import narrowed
from engram.data.source import read
from engram.data.source.parallel import sets_among
from engram.data.source.turns import as_turns

# Parallel text


def test_files_of_several_languages_go_together_line_by_line(tmp_path):
    for name, number in (("train", 3), ("val", 2), ("test_2016_flickr", 2), ("test_2017_flickr", 4)):
        for language in ("en", "de", "fr") if name != "test_2017_flickr" else ("en", "de"):
            write(tmp_path / f"{name}.{language}", "".join(f"{language} {name} {n}\r\n" for n in range(number)))
    table = read(tmp_path)
    assert (
        list(table.columns) == ["de", "en", "fr"] and table.split.tolist() == ["train"] * 3 + ["val"] * 2 + ["test"] * 2
    )
    assert table.columns["de"].values[2] == "de train 2" and table.columns["en"].values[5] == "en test_2016_flickr 0"
    assert table.columns["en"].where(4) == "val.en:2"
    assert "test_2016_flickr.* (test)" in table.notes[0] and "left out: test_2017_flickr" in table.notes[1]
    one = read(tmp_path / "test_2017_flickr.de")
    assert list(one.columns) == ["de", "en"] and len(one) == 4 and one.split is None
    assert len(read([tmp_path / "train.en", tmp_path / "train.de"])) == len(read(str(tmp_path / "train.*"))) == 3
    assert list(narrowed(table, target="de", inputs="en").columns) == ["de", "en"]
    with pytest.raises(ConfigError, match="de"):
        read(tmp_path, target="nl")


def test_pairs_of_unequal_length_are_refused_with_both_counts(tmp_path):
    write(tmp_path / "t.en", "a\nb\nc\n"), write(tmp_path / "t.de", "a\nb")
    with pytest.raises(DataError, match=r"2 in .*t\.de and 3 in .*t\.en"):
        read(tmp_path)


@pytest.mark.parametrize(
    ("names", "sets"),
    [
        (["train.en", "train.de", "notes"], {"train.*": ["de", "en"]}),
        (["a.en.txt", "a.de.txt", "b.en.txt"], {"a.*.txt": ["de", "en"]}),
        (["de_dev.txt", "it_dev.txt"], {"*_dev.txt": ["de", "it"]}),
        (["europarl-v7.de-en.en", "europarl-v7.de-en.de"], {"europarl-v7.de-en.*": ["de", "en"]}),
        (["x/train.en", "x/train.de", "y/train.en"], {"x/train.*": ["de", "en"]}),
        (["german.txt", "english.txt"], {"*.txt": ["english", "german"]}),
        (["train.src", "train.tgt"], {"train.*": ["src", "tgt"]}),
        (["to_be.txt", "chapter.txt"], {}),
        (["train.csv", "test.csv"], {}),
    ],
)
def test_languages_are_found_in_file_names(names, sets):
    assert {key: sorted(files) for key, files in sets_among(names).items()} == sets


LINE = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=20)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    pairs=st.lists(st.tuples(LINE, LINE), min_size=1, max_size=8),
    end=st.sampled_from(["\n", "\r\n"]),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
    last=st.booleans(),
)
def test_pairs_return_what_was_written(tmp_path, pairs, end, encoding, last):
    pairs = [(f"x{one}", f"y{other}") for one, other in pairs]
    for language, lines in zip(("en", "de"), zip(*pairs, strict=True), strict=True):
        write(tmp_path / f"t.{language}", (end.join(lines) + end * last).encode(encoding))
    table = read(tmp_path / "t.en")
    assert list(zip(table.columns["en"].values, table.columns["de"].values, strict=True)) == pairs


def test_pairs_in_tables_and_records(tmp_path):
    rows = [{"translation": {"en": "a dog", "de": "ein Hund"}}, {"translation": {"en": "a cat", "de": "eine Katze"}}]
    write(tmp_path / "t.jsonl", "\n".join(map(json.dumps, rows)))
    write(tmp_path / "t.tsv", "en\tde\na dog\tein Hund\na cat\teine Katze\n")
    write(tmp_path / "t.json", json.dumps({"version": 1, "data": [row["translation"] for row in rows]}))
    polars.DataFrame(rows).write_parquet(tmp_path / "t.parquet")
    for name in ("t.jsonl", "t.tsv", "t.json", "t.parquet"):
        columns = {name: column.values for name, column in read(tmp_path / name).columns.items()}
        assert columns == {"en": ["a dog", "a cat"], "de": ["ein Hund", "eine Katze"]}


# Conversations


@pytest.mark.parametrize(
    "line",
    [
        {"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}]},
        {"conversations": [{"from": "human", "value": "Hi"}, {"from": "gpt", "value": "Hello"}]},
        {"dialog": ["Hi", "Hello"], "act": [1, 2]},
        {"chat": [["user", "Hi"], ["bot", "Hello"]]},
        {
            "messages": [
                {"role": "user", "content": [{"type": "text", "text": "Hi"}]},
                {"role": "ai", "content": "Hello"},
            ]
        },
        {
            "thread": [
                {"author": "Ada", "text": "Hi"},
                {"author": "Bob", "text": "Hello"},
                {"author": "Ada", "text": " "},
            ]
        },
        [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}],
        ["Hi", "Hello"],
    ],
)
def test_conversations_in_every_usual_form(tmp_path, line):
    column = next(iter(read(write(tmp_path / "t.jsonl", json.dumps(line) + "\n")).columns.values()))
    assert column.kind == "turns" and column.values == [[("user", "Hi"), ("assistant", "Hello")]]


PHONE = """\u200e[31.12.23, 09:03:11] Messages are end-to-end encrypted: nobody reads them
12/31/23, 9:05 PM - Ada: Hi
12/31/23, 9:05 PM - Ada: there: you?
12/31/23, 9:06 PM - Bob: <Media omitted>
12/31/23, 9:06 PM - Bob: Hello
who is it?
1/1/24, 00:01 - Ada: nobody answers this
[02.01.2024, 10:00:00] Ada: Morning
[02.01.2024, 10:00:09] Bob: Morning
"""
TALKS = [["Hi\nthere: you?", "Hello\nwho is it?"], ["Morning", "Morning"]]


def test_the_chat_that_a_phone_exports_is_a_conversation_a_day(tmp_path):
    table = read(write(tmp_path / "WhatsApp Chat with Bob.txt", PHONE))
    assert [[text for _, text in talk] for talk in table.columns["dialog"].values] == TALKS
    assert not table.columns["dialog"].named and "2 conversations" in table.notes[0]
    prose = "12.5.2021 was a day\n" + "of rain - and: nothing else\n" * 9
    assert "text" in read(write(tmp_path / "diary.txt", prose)).columns
    posts = [
        {
            "type": "message",
            "date": f"2024-01-0{day}T10:00:00",
            "from": name,
            "from_id": name,
            "text": ["", {"text": text}],
        }
        for day, name, text in (
            (1, "Ada", "Hi"),
            (1, "Ada", "there: you?"),
            (1, "Bob", "Hello\nwho is it?"),
            (2, "Ada", "x"),
        )
    ]
    table = read(
        write(tmp_path / "result.json", json.dumps({"name": "Bob", "messages": [{"type": "service"}, *posts]}))
    )
    assert [[text for _, text in talk] for talk in table.columns["messages"].values] == TALKS[:1]


def test_trees_of_messages_are_read_along_the_branch_that_was_shown(tmp_path):
    def node(parent, role="", text=""):
        message = {"author": {"role": role}, "content": {"parts": [text]}}
        return {"parent": parent, "message": message if role else None}

    nodes = {"root": node(None), "q": node("root", "user", "Hi"), "a": node("q", "assistant", "Hello")}
    nodes |= {"other": node("q", "assistant", "Again"), "loop": node("loop", "user", "?")}
    exported = [{"title": "x", "mapping": nodes, "current_node": at} for at in ("other", "q", "loop")]
    table = read(write(tmp_path / "conversations.json", json.dumps(exported)))
    assert table.columns["messages"].values[0] == [("user", "Hi"), ("assistant", "Again")]
    assert list(table.columns) == ["messages"]


def test_lists_that_are_no_conversations_stay_labels(tmp_path):
    rows = [{"text": "a", "tags": ["x", "y"]}, {"text": "b", "tags": ["x"]}]
    column = read(write(tmp_path / "t.jsonl", "\n".join(map(json.dumps, rows)))).columns["tags"]
    assert column.kind == "names" and column.values == [["x", "y"], ["x"]]


TURN = st.tuples(st.sampled_from(["user", "assistant", "system"]), LINE)


@settings(max_examples=40, deadline=None)
@given(talks=st.lists(st.lists(TURN, min_size=1, max_size=5), min_size=1, max_size=4))
def test_turns_return_what_was_said(talks):
    found = as_turns("messages", [[{"role": role, "content": text} for role, text in talk] for talk in talks])
    assert found == [[(role, text) for role, text in talk if text.strip()] for talk in talks]
