"""`load` and `predict`: open a run and answer with it."""

from __future__ import annotations

import dataclasses
import glob
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from engram.api import to_parquet
from engram.api.rows import given_rows
from engram.core import events, machine
from engram.core.errors import ConfigError, DataError, EngramError
from engram.core.registry import find
from engram.core.rundir import RunDirectory
from engram.data.table import Table
from engram.features import saved

TABLES = (".csv", ".tsv", ".jsonl", ".json", ".parquet")
"""Of files that end so, the column of texts is read; of others the lines."""

SUFFIXES = (".txt", *TABLES)
"""One word that ends so is meant to be a file, whether there is one or not."""


def load(run: Any, **options: Any) -> Any:
    """Return a `Predictor` for a run: `engram.load("runs/photos").predict("cat.jpg")`."""
    machine.wait_passively()
    from engram.predict.predictor import load

    return load(run, **options)


def predict(
    run: Any,
    items: Any = None,
    *,
    device: str | None = None,
    model: Any = None,
    trust_source: bool = False,
    explain: bool = False,
    stdin: Iterable[str] | None = None,
    out: str | os.PathLike[str] | None = None,
    draw: str | os.PathLike[str] | None = None,
    **options: Any,
) -> Any:
    """Answer for items: paths, folders, glob patterns, texts, or anything a `Predictor` takes. One dictionary each.

    items: none for what the run has at hand, such as the series that it learned from, which are then continued.
    out: a .parquet file that the answers are written to, one row each, with flat memory; see
    `engram.api.to_parquet.write`, whose facts are then returned. Interrupted, the same call goes on where it was.
    draw: an .html file to draw forecasts in.
    explain: add what each answer hangs on; see `engram.explain.why.reasoned`.
    stdin: lines to be read where an item is "-".
    """
    predictor = load(run, device=device, model=model, trust_source=trust_source)
    chosen = taken(predictor, items, stdin=stdin)
    if out is not None:
        if explain:
            raise ConfigError("expected either explain or out. Explain a few answers by themselves")
        return to_parquet.write(predictor, chosen, out, key=to_parquet.identity(_several(items)), **options)
    if explain:
        from engram.explain.why import reasoned

        return reasoned(predictor, list(chosen), **options)[0]
    given = list(chosen)
    answers = list(predictor.predict(given, **options))
    if draw is not None:
        from engram.report import forecast

        forecast.write(predictor, given, answers, Path(draw))
        events.note(f"The forecasts are drawn in {draw}.")
    return answers


def taken(predictor: Any, items: Any, *, stdin: Iterable[str] | None = None) -> Iterator[Any]:
    """The items that one item, or several, stand for; see `expanded`. Tables are taken apart as the task takes them."""
    if items is None or (isinstance(items, tuple | list) and not items):
        yield from _at_hand(predictor)
        return
    given = _several(items)
    for role in predictor.task.inputs:
        if (feature := predictor.features[role]).takes == "table":
            for item in given:
                yield from predictor.arranged(item)
            return
        if feature.takes == "rest":
            targets = saved.load_columns(predictor.run).values()
            yield from given_rows(given, feature, stdin=stdin, targets=targets)
            return
    texts, blank = _reads_texts(predictor)
    yield from expanded(given, texts=texts, blank=blank, stdin=stdin)


def _several(items: Any) -> Any:
    """Items, where it may be one."""
    one = isinstance(items, str | os.PathLike | bytes | Mapping) or hasattr(items, "columns")
    one = one or not isinstance(items, Iterable)
    return [items] if one else items if isinstance(items, Sequence) else list(items)


def recommend(run: Any, *, device: str | None = None, **asked: Any) -> Any:
    """Rank items for users or histories; see `engram.predict.recommending.recommend`."""
    return load(run, device=device).recommend(**asked)


def _at_hand(predictor: Any) -> list[Any]:
    found = [value for role in predictor.task.inputs for value in predictor.features[role].at_hand()]
    if not found:
        raise ConfigError(f"expected items to answer for; got none, and {predictor.run} has none at hand. Name some.")
    return found


def option_fields(run: Any) -> list[dataclasses.Field[Any]]:
    """The options that a run's task has for its answers; none where there is no such run or task."""
    try:
        task = find("engram.tasks", str(RunDirectory(run).read_run()["task"]), base="task")
    except (EngramError, KeyError, OSError):
        return []  # the verb itself says what is wrong
    return list(dataclasses.fields(task.options))


def _reads_texts(predictor: Any) -> tuple[bool, bool]:
    """Whether what a run answers for can be typed, and whether it may be empty."""
    roles = list(predictor.task.inputs)
    feature = predictor.features[roles[0]] if len(roles) == 1 else None
    return getattr(feature, "typed", False), getattr(feature, "blank", False)


def expanded(
    items: Iterable[Any], *, texts: bool = False, blank: bool = False, stdin: Iterable[str] | None = None
) -> Iterator[Any]:
    """Put what folders, patterns, tables, arrays and lines hold in their place; other items as they are.

    texts: whether the run answers for texts: an item is then a text, unless a file or folder has that name.
    blank: whether empty lines are answered for too.
    """
    for item in items:
        text = os.fspath(item) if isinstance(item, str | os.PathLike) else ""
        if text == "-" and stdin is not None:
            lines = (line.rstrip("\r\n") for line in stdin if blank or line.strip())
            yield from lines if texts else expanded(lines)
        elif not isinstance(text, str) or not text:
            yield item
        elif texts:
            yield from _texts(text, blank=blank)
        else:
            yield from _files(item, text)


def _files(item: Any, text: str) -> Iterator[Any]:
    from engram.data import source

    if source.holds_many(text) or (glob.has_magic(text) and not Path(text).exists()):
        yield from _values(source.read(text, target=()), kinds=("path", "bytes", "array"), what="pictures")
    elif not Path(text).exists():
        raise DataError(f"expected a file, folder or pattern to answer for; there is no {text}")
    else:
        yield item


def _texts(text: str, *, blank: bool) -> Iterator[str]:
    """A text as it is; of a file its lines or its column of texts, of a folder its files."""
    from engram.data import source

    path = Path(text) if len(text) < 1000 and "\n" not in text and "\0" not in text else None
    if path is None or not path.exists():
        if path is not None and len(text.split()) == 1 and text.lower().endswith(SUFFIXES):
            raise DataError(
                f"expected a text, or a file of texts; there is no file {text}. To answer for these words as a text, "
                f"give them on stdin: echo '{text}' | engram predict RUN -"
            )
        yield text
    elif path.is_dir():
        for file in sorted(path.rglob("*.txt")):
            yield read_text(file)
    elif path.suffix.lower() not in TABLES:
        lines = read_text(path).removesuffix("\n").split("\n")  # other signs that end lines may stand within texts
        yield from (line.rstrip("\r") for line in lines if blank or line.strip())
    else:
        yield from _values(source.read(text, target=()), kinds=("text", "turns"), what="texts")


def read_text(path: Path) -> str:
    """Return what a file of text says; DataError where it is none."""
    try:
        return path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"expected text in UTF-8 in {path}; byte {error.start} is none") from None


def _values(table: Table, *, kinds: tuple[str, ...], what: str) -> Iterable[Any]:
    """The column that holds what is to be answered for; of several texts, the longest."""
    columns = [column for column in table.columns.values() if column.kind in kinds]
    if not columns:
        raise DataError(
            f"expected {what} to answer for; {table.origin} has none among its columns {', '.join(table.columns)}. "
            f"Name the {what} themselves, or a file of them."
        )
    if what == "texts":
        columns.sort(key=lambda column: -sum(len(value or "") for value in column.values[:1000]))
    return columns[0].values
