"""From text in any form to prepared, split, fitted and examined examples, whichever task takes them."""

from __future__ import annotations

import json
from typing import ClassVar

import numpy as np
import pytest

from engram.api import inspection, reading
from engram.core.errors import ConfigError, DataError
from engram.core.task import Task
from engram.data import doctor, infer, source
from engram.features import text
from engram.features.category import Category
from engram.features.text import Text
from engram.tasks.conversation import Conversation


class Corpus(Task):
    inputs: ClassVar = {"text": Text}


class Labels(Task):
    inputs: ClassVar = {"text": Text}
    target: ClassVar = {"label": Category}


class Pairs(Task):
    inputs: ClassVar = {"source": Text}
    target: ClassVar = {"target": Text}


@pytest.fixture(autouse=True)
def _cache(tmp_path, monkeypatch):
    monkeypatch.setenv("ENGRAM_CACHE", str(tmp_path / "cache"))


def read(task, data, **named) -> reading.Reading:
    table = source.read(data, **named)
    roles, reasons = infer.columns_for(table, task, **named)
    found = reading.prepare(
        task, table, roles, wishes={}, view=None, seed=0, deadline=None, features=None, only=None, test=True
    )
    found.reasons, found.findings = reasons, [*table.findings, *found.findings]
    return found


def prose(number: int, seed: int = 0) -> str:
    random = np.random.default_rng(seed)
    words = ["".join(random.choice(list("abcdefghiklmnoprstuvw"), 6)) for _ in range(500)]
    return "\n".join(" ".join(random.choice(words, 12)) + "." for _ in range(number))


def test_running_text_is_prepared_once_and_divided_by_position(tmp_path):
    text = prose(6000)
    (tmp_path / "book.txt").write_text(text)
    first = read(Corpus(), tmp_path / "book.txt")
    rows = first.examples.splits
    stored = first.examples.stored["text"]
    joined = "".join(stored.arrays["utf8"][row].tobytes().decode() for row in np.concatenate(list(rows.values())))
    assert joined == text and [*rows] == ["train", "val", "test"]
    shares = {name: stored.sizes("utf8", some).sum() / len(text) for name, some in rows.items()}
    assert shares == pytest.approx({"train": 0.85, "val": 0.05, "test": 0.1}, abs=0.003)
    folder = stored.info["folder"]
    assert read(Corpus(), tmp_path / "book.txt").examples.stored["text"].info["folder"] == folder
    (tmp_path / "book.txt").write_text(text.upper())
    assert read(Corpus(), tmp_path / "book.txt").examples.stored["text"].info["folder"] != folder


def test_what_is_shown_of_texts(tmp_path):
    (tmp_path / "t.csv").write_text("text,label\n" + "".join(f'"{prose(2, n)}",{"ab"[n % 2]}\n' for n in range(60)))
    found = read(Labels(), tmp_path / "t.csv", target="label")
    summary = json.loads(json.dumps(inspection._summary(found)))
    values = summary["values"]["text"]
    assert values["texts"] == 60 and values["tokenizer"] == "characters" and len(values["examples"]) == 3
    assert values["tokens"]["median"] == values["characters"]["median"] + 1
    assert summary["rows"] == {"train": 48, "val": 6, "test": 6} and summary["classes"]["train"] == {"a": 24, "b": 24}


def test_pairs_are_divided_without_regard_to_what_they_say(tmp_path):
    lines = prose(200).split("\n")
    (tmp_path / "t.en").write_text("\n".join(lines))
    (tmp_path / "t.de").write_text("\n".join(line.upper() for line in reversed(lines)))
    found = read(Pairs(), tmp_path, inputs="en", target="de")
    assert {name: len(rows) for name, rows in found.examples.splits.items()} == {"train": 160, "val": 20, "test": 20}
    assert {role: column.name for role, column in found.roles.items()} == {"source": "en", "target": "de"}
    assert inspection._summary(found)["classes"] == {} and not list(doctor.unknown_labels(found.examples, "target"))
    with pytest.raises(ConfigError, match="Say which with --source de or --source en"):
        read(Pairs(), tmp_path)


def test_files_that_are_no_text_and_blank_lines_are_set_aside_with_their_reason(tmp_path):
    for number in range(60):
        (tmp_path / f"{number:02}.txt").write_text(prose(3) + str(number))
    (tmp_path / "07.txt").write_bytes(bytes(range(256)))
    (tmp_path / "09.txt").write_text("\n \n")
    found = {finding.kind: finding for finding in read(Corpus(), tmp_path).findings}["unreadable"]
    assert found.severity == "warning" and [where.split(":")[0] for where in found.where] == ["07.txt", "09.txt"]
    (tmp_path / "all").mkdir()
    with pytest.raises(DataError, match="it is empty"):
        read(Corpus(), tmp_path / "all")


def test_where_no_row_can_be_read_the_first_reason_is_told():
    with pytest.raises(DataError, match=r"of 30 none can\. .*\[0\]: the conversation has no reply"):
        read(Conversation(), {"messages": [[{"role": "user", "content": "hello"}]] * 30})


@pytest.mark.parametrize("written", ["🙂🙃 👩‍👩‍👧", "שלום עולם, מה שלומך?", "مرحبا بالعالم", "你好，世界", "z̷͎̿a̶l̵g̸o"])
def test_any_script_comes_back_as_it_was(tmp_path, written):
    rows = [f"{written} {number} {prose(1)}" for number in range(40)]
    found = read(Labels(), {"text": rows, "label": ["a", "b"] * 20})
    feature, stored = found.examples.features["text"], found.examples.stored["text"]
    some = found.examples.splits["train"][:5]
    assert feature.decode(feature.encode(stored.gather(some))) == [rows[row] for row in some]


def test_a_value_of_ten_megabytes_in_a_table(tmp_path):
    long = "word " * (1 << 21)
    for name, content in (
        ("t.csv", f"text,label\n{long},a\nshort one,b\n"),
        ("t.jsonl", f'{{"text": "{long}", "label": "a"}}\n{{"text": "short one", "label": "b"}}\n'),
    ):
        (tmp_path / name).write_text(content)
        assert len(source.read(tmp_path / name).columns["text"].values[0]) == len(long)


def test_tokens_of_much_text_lie_in_a_file(tmp_path, monkeypatch):
    (tmp_path / "book.txt").write_text(prose(500))
    kept = read(Corpus(), tmp_path / "book.txt").examples.stored["text"].arrays["tokens"]
    monkeypatch.setattr(text, "IN_MEMORY", 0)
    mapped = read(Corpus(), tmp_path / "book.txt").examples.stored["text"].arrays["tokens"]
    assert isinstance(mapped.flat.base, np.memmap) and not isinstance(kept.flat.base, np.memmap)
    assert (mapped.flat == kept.flat).all() and (mapped.offsets == kept.offsets).all()
