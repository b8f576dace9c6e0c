"""`load` and `predict`: open a run and answer with it."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from engram.core import machine
from engram.core.errors import DataError
from engram.data.table import Table


def load(run: Any, **options: Any) -> Any:
    """Return a `Predictor` for a run: `engram.load("runs/photos").predict("cat.jpg")`."""
    machine.wait_passively()
    from engram.predict.predictor import load

    return load(run, **options)


def predict(
    run: Any, items: Any, *, device: str | None = None, model: Any = None, trust_source: bool = False, **options: Any
) -> list[dict[str, Any]]:
    """Answer for items: paths, folders, glob patterns, or anything a `Predictor` takes. One dictionary each."""
    predictor = load(run, device=device, model=model, trust_source=trust_source)
    one = isinstance(items, str | os.PathLike | bytes)
    answers = predictor.predict(list(expanded([items] if one else items)), **options)
    return list(answers)


def expanded(items: Iterable[Any]) -> Iterator[Any]:
    """Put the pictures of folders, patterns, tables and arrays in their place; other items as they are."""
    from engram.data import source

    for item in items:
        text = os.fspath(item) if isinstance(item, str | os.PathLike) else ""
        if text and (source.holds_many(text) or (glob.has_magic(text) and not Path(text).exists())):
            yield from _pictures(source.read(text, target=()))
        elif text and not Path(text).exists():
            raise DataError(f"expected a file, folder or pattern to answer for; there is no {text}")
        else:
            yield item


def _pictures(table: Table) -> Iterable[Any]:
    columns = [column for column in table.columns.values() if column.kind in ("path", "bytes", "array")]
    if not columns:
        raise DataError(
            f"expected pictures to answer for; {table.origin} has none among its columns {', '.join(table.columns)}. "
            "Name the pictures themselves, their folder or a table of their paths."
        )
    return columns[0].values
