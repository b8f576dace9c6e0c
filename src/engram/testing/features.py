"""What every feature promises: one value alone and many from the store are the same, and nothing is lost on the way."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from engram.core.errors import DataError
from engram.data.packed import Rows, packed
from engram.data.store import Stored, collate, prepare
from engram.data.table import KINDS, Column
from engram.features._clock import HOUR, Clock
from engram.features.feature import Feature
from engram.features.series import History


def sample_columns() -> list[Column]:
    """One small column of every kind of value that needs no file, for finding out which a feature reads."""
    generator = np.random.default_rng(0)
    grey = [generator.integers(0, 256, (28, 28), dtype=np.uint8) for _ in range(24)]
    colour = [generator.integers(0, 256, (48 + 4 * (n % 3), 64, 3), dtype=np.uint8) for n in range(24)]
    words = ("Äpfel", "pears", "10 plums")
    return [
        Column("grey", grey, "array"),
        Column("colour", colour, "array"),
        Column("label", [words[n % 3] for n in range(24)], "text"),
        Column("text", [f"Über {n} small {words[n % 3]}, {n} more… 你好" for n in range(24)], "text"),
        Column(
            "turns", [[("user", f"What are {n}?"), ("assistant", f"Some {words[n % 3]}.")] for n in range(24)], "turns"
        ),
        Column("labels", [list(words[: n % 4]) for n in range(24)], "names"),
        Column("number", [n % 4 for n in range(24)], "number"),
        Column("price", [1.5 * n * (-1) ** n for n in range(24)], "number"),
        Column("row", sample_rows(), "record"),
        Column("history", [sample_history(n) for n in range(24)], "history"),
        Column("series", sample_histories(), "series"),
    ]


def sample_histories() -> list[History]:
    """Short series of two columns by hour, some numbers of each missing."""
    generator = np.random.default_rng(0)
    roles = {"targets": ("one", "two"), "others": (), "known": ()}
    found = []
    for number in range(24):
        values = generator.normal(size=(20 + number, 2)).cumsum(0)
        values[3 + number % 5, number % 2] = np.nan
        found.append(History(f"s{number}", 400_000 + number, values, roles, Clock("microsecond", HOUR)))
    return found


def sample_rows() -> Rows:
    """Rows with every kind of column, some cells of each missing."""
    words = ("red", "green", "?", None)
    times = [f"2024-0{1 + n % 9}-1{n % 10} 0{n % 7}:30" for n in range(24)]
    columns: list[tuple[str, str, list[Any]]] = [
        ("size", "number", [n**3 / 7 if n % 5 else None for n in range(24)]),
        ("floors", "number", [n % 3 for n in range(24)]),
        ("garden", "number", [n % 2 == 0 for n in range(24)]),
        ("colour", "text", [words[n % 4] for n in range(24)]),
        ("built", "text", [times[n] if n % 6 else None for n in range(24)]),
        ("said", "text", [f"Über {n} small {words[n % 2]} rooms, {n} more" if n % 7 else None for n in range(24)]),
        ("tags", "names", [["old", "new", "other"][: n % 4] for n in range(24)]),
    ]
    return Rows({name: Column(name, packed(values, kind), kind) for name, kind, values in columns})


def sample_history(number: int) -> dict[str, Any]:
    """Some items out of a few, with ratings."""
    items = [f"{(number * step) % 7}" for step in range(1, 2 + number % 4)]
    return {"items": items, "ratings": [1.0 + (number + step) % 5 for step in range(len(items))]}


def check_feature(feature: type[Feature], values: Sequence[Any], *, kind: str, name: str = "value") -> None:
    """Check a feature class on a few readable raw values (four or more).

    kind: what the values are (`engram.data.table.KINDS`). name: of the column they stand in.
    """
    assert kind in KINDS, f"expected one of {KINDS}; got {kind!r}"
    column = Column(name, values, kind)
    check_evidence(feature, column)
    fitted, stored = fit(feature, column)
    rows = np.arange(len(values))
    check_fit(fitted, feature, column)
    check_singles(fitted, column, stored)
    check_refined(fitted, stored)
    check_decoding(fitted, fitted.encode(stored.gather(rows)))
    check_saving(fitted, feature, stored)
    check_graph(fitted, stored)
    check_copies(fitted, stored)
    check_entry(fitted)
    check_parts(fitted, stored)
    check_traits(fitted, stored, column)


def fit(feature: type[Feature], column: Column) -> tuple[Feature, Stored]:
    """Survey, prepare and fit on all rows, as training does; prepared data is not kept."""
    surveyed = feature.survey(column)
    with tempfile.TemporaryDirectory() as cache:
        stored = prepare(column, surveyed, cache=cache)
        assert stored.ok.all(), f"expected readable values; got {stored.problems[:3]}"
        gathered = stored.gather(np.arange(len(column)))
    in_memory = Stored(gathered, stored.ok, stored.digest)
    surveyed.fit(in_memory, np.arange(len(column)))
    return surveyed, in_memory


def check_parts(fitted: Feature, stored: Stored) -> None:
    """Without any part taken away a value is itself, with all taken away it is another of the same shape."""
    for row in range(len(stored)):
        gathered = stored.gather(np.array([row]))
        if (parts := fitted.parts(gathered)) is None:
            continue
        number, plain = len(parts.names), fitted.encode(gathered)
        assert len(parts.places) == number and parts.windows.shape[1] == number, "parts do not fit their places"
        assert parts.windows.any(0).all(), "some parts are never taken away"
        none, rest = parts.encode(np.array([[False] * number, [True] * number]))
        width = plain.shape[1]
        assert_close(none[None, :width], plain, "without any part taken away the value is another")
        assert none.shape == rest.shape, "parts that are gone change the shape"
        if parts.shares is not None:
            assert tuple(parts.shares(plain.float()).shape) == (1, number), "shares do not fit the parts"


def check_traits(fitted: Feature, stored: Stored, column: Column) -> None:
    """Traits say something of each value, and what is altered or strange can be read still."""
    rows = np.arange(len(stored))
    for name, told in fitted.traits(stored, rows).items():
        assert len(told) == len(rows), f"the trait {name} is not said of each value"
    values = [column.values[row] for row in rows[:4]]
    for alter in fitted.alterations().values():
        for value in values:
            fitted.store(alter(value, np.random.default_rng(0)))
    for name, odd in fitted.strange(values, np.random.default_rng(0)).items():
        assert len(odd) == len(values), f"there are not as many of {name} as were asked for"
        for value in odd:
            fitted.store(value)


def check_refined(fitted: Feature, stored: Stored) -> None:
    """What is made of stored values once is what encoding makes of them, and their lengths are as said."""
    rows = np.array([2, 0, 3])
    plain = fitted.encode(stored.gather(rows))
    refined = stored.refined(fitted)
    assert_close(fitted.encode(refined.gather(rows)), plain, "refined values are encoded otherwise")
    if (lengths := fitted.lengths(refined, rows)) is not None:
        assert lengths.max() == plain.shape[1], f"lengths {lengths} do not fit {tuple(plain.shape)}"


def check_entry(fitted: Feature) -> None:
    """The example of how a value is given can be read; what is no value or is too large is refused as bad data."""
    if (entry := fitted.entry()) is None:
        return
    json.dumps([entry.schema, entry.details])
    fitted.encode(collate([fitted.store(fitted.received(json.loads(json.dumps(entry.example)), most=10**9))]))
    for value, most in ((entry.example, 0), (None, 10**9), ({}, 10**9)):
        try:
            fitted.store(fitted.received(value, most=most))
        except DataError:
            continue
        raise AssertionError(f"{value!r} with at most {most} {entry.unit} was taken")


def padded(alone: torch.Tensor, among: torch.Tensor) -> torch.Tensor:
    """One value as it stands among longer ones: zeros follow it along its first axis."""
    if alone.shape == among.shape:
        return alone
    return torch.cat([alone, alone.new_zeros(len(among) - len(alone), *alone.shape[1:])])


def check_evidence(feature: type[Feature], column: Column) -> None:
    """What speaks for the feature lies between 0 and 1 and says why; what cannot be read is a DataError."""
    evidence = feature.matches(column)
    assert 0 <= evidence.score <= 1 and evidence.reason, f"expected a score in [0, 1] and a reason; got {evidence}"
    try:
        feature.survey(column).store(None)
    except DataError as error:
        assert str(error), "a DataError says what is wrong"
    else:
        raise AssertionError("expected a DataError for a missing value (None)")


def check_fit(fitted: Feature, feature: type[Feature], column: Column) -> None:
    """Fitting again gives the same state, and the configuration is JSON that builds the feature."""
    again, _ = fit(feature, column)
    assert_same_state(again, fitted, "fitting twice gave two states")
    rebuilt = feature(**fitted.config())
    assert json_equal(rebuilt.config(), fitted.config()), "config() does not build the feature that gave it"


def check_singles(fitted: Feature, column: Column, stored: Stored) -> None:
    """Storing one value and collating gives what gathering gives; encoding does not look across rows."""
    rows = np.array([2, 0, 3])
    singles = collate([fitted.store(column.values[row]) for row in rows])
    gathered = stored.gather(rows)
    assert singles.keys() == gathered.keys(), "single values and gathered ones have different arrays"
    together = fitted.encode(gathered)
    assert len(together) == len(rows), "encode keeps the row as the first axis"
    assert_close(fitted.encode(singles), together, "collating single values differs from gathering them")
    for row, encoded in zip(rows, together, strict=True):
        alone = fitted.encode(stored.gather(np.array([row])))[0]
        assert_close(padded(alone, encoded), encoded, "encoding a row depends on the other rows, by more than padding")


def check_decoding(fitted: Feature, encoded: torch.Tensor) -> None:
    """What decode gives can be stored and encoded again, and means the same."""
    decoded = fitted.decode(encoded)
    assert len(decoded) == len(encoded), "decode gives one value per row"
    again = fitted.decode(fitted.encode(collate([fitted.store(value) for value in decoded])))
    for first, second in zip(decoded, again, strict=True):
        assert np.array_equal(np.asarray(first), np.asarray(second)), f"{first!r} came back as {second!r}"


def check_saving(fitted: Feature, feature: type[Feature], stored: Stored) -> None:
    """State goes through JSON and safetensors and encodes as before."""
    from safetensors.numpy import load, save

    values, arrays = fitted.state()
    loaded = feature(**json.loads(json.dumps(fitted.config())))
    loaded.load_state(json.loads(json.dumps(values)), load(save(dict(arrays))) if arrays else {})
    assert_same_state(loaded, fitted, "the state changed on its way through JSON and arrays")
    rows = np.arange(len(stored))
    saved, expected = loaded.encode(stored.gather(rows)), fitted.encode(stored.gather(rows))
    assert torch.equal(saved.nan_to_num(), expected.nan_to_num()), "a saved and loaded feature encodes differently"


def check_graph(fitted: Feature, stored: Stored) -> None:
    """What an exported model does with what it is given is what encoding does."""
    graph = fitted.graph() or torch.nn.Identity()
    for row in range(len(stored)):
        gathered = stored.gather(np.array([row]))
        assert_close(graph(fitted.given(gathered)), fitted.encode(gathered), "an exported model encodes otherwise")
    values, arrays = fitted.before()
    assert json_equal(json.loads(json.dumps(values)), values), "what is left to others is not JSON"
    assert all(isinstance(array, np.ndarray) for array in arrays.values()), "what is left to others are not arrays"


def check_copies(fitted: Feature, stored: Stored) -> None:
    """Signatures, where there are any, are hashes, or have unit length or are NaN; every value is a copy of itself."""
    rows = np.arange(len(stored))
    signatures_BVD = fitted.signatures(stored, rows)
    if signatures_BVD is None:
        return
    if signatures_BVD.dtype.kind == "i":
        assert signatures_BVD.ndim == 2 and len(signatures_BVD) == len(rows), "hashes are (row, place)"
    else:
        assert signatures_BVD.ndim == 3 and len(signatures_BVD) == len(rows), "signatures are (row, way, number)"
        length_BV = np.linalg.norm(signatures_BVD, axis=2)
        assert np.allclose(length_BV[np.isfinite(length_BV)], 1, atol=1e-3), "signatures have unit length"
    assert fitted.same(stored, rows, rows, np.zeros_like(rows)).all(), "a value is not a copy of itself"


def assert_same_state(first: Feature, second: Feature, message: str) -> None:
    """Both halves of the state are equal."""
    (values, arrays), (other_values, other_arrays) = first.state(), second.state()
    assert json_equal(values, other_values) and arrays.keys() == other_arrays.keys(), message
    assert all(np.array_equal(arrays[key], other_arrays[key]) for key in arrays), message


def json_equal(first: Any, second: Any) -> bool:
    """Equal as JSON, for which a tuple is a list."""
    return json.dumps(first, sort_keys=True) == json.dumps(second, sort_keys=True)


def assert_close(got: torch.Tensor, expected: torch.Tensor, message: str) -> None:
    """Equal up to rounding in float32."""
    torch.testing.assert_close(
        got, expected, rtol=1e-4, atol=1e-4, equal_nan=True, msg=lambda detail: f"{message}\n{detail}"
    )
