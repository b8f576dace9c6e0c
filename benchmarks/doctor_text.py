"""What the doctor finds in texts: plant near copies and broken pairs in real data, print how many it finds.

    python benchmarks/doctor_text.py DATA [copies pairs labels] [--sets rt_polarity subj sst2 adult]

DATA is a folder that holds rt_polarity, subj, multi30k, sst2 and adult. Copies: 300 sentences once more, changed in one
way each. Pairs: 100 each that were swapped, left untranslated, given another English sentence, or made five times as
long; and one line that is missing on one side. "false" counts what was named besides. Labels: 10 and 20 % of the
training labels flipped; the AUROC of the doubt in them, aimed at .85. How doubt is found was chosen by rt_polarity and
subj.
"""

from __future__ import annotations

import argparse
import csv
import json
import random
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from engram.api import doubtful_labels, reading
from engram.api.requests import DataRequest
from engram.core.evidence import Finding
from engram.data import doctor, store
from engram.data.doctor import copies
from engram.data.doctor.copies import Copies
from engram.data.examples import Examples
from engram.data.table import Column, Table
from engram.explain.robustness import auroc
from engram.features.text import Text

PLANTED, PAIRS = 300, 100


def examined(**columns: list[str]) -> tuple[dict[str, Finding], Copies]:
    """Return what the doctor finds in columns of text, and the copies in the first."""
    roles = {name: Column(name, values, "text") for name, values in columns.items()}
    features = {name: Text() for name in roles}
    first = next(iter(roles))
    with tempfile.TemporaryDirectory() as cache:
        stored = {role: store.prepare(column, features[role], cache=cache) for role, column in roles.items()}
        alike = {first: copies.find(features[first], stored[first])}
        table = Table(dict(roles), "planted", "1")
        found = doctor.inspect(examples=Examples(features, stored), table=table, roles=roles, copies=alike)
    return {finding.kind: finding for finding in found}, alike[first]


def letter(text: str) -> str:
    at = random.randrange(len(text))
    return text[:at] + random.choice("abcdefgh") + text[at + 1 :]


def word(text: str, *new: str) -> str:
    words = text.split()
    at = random.randrange(len(words))
    return " ".join([*words[:at], *new, *words[at + 1 :]])


CHANGES: dict[str, Callable[[str], str]] = {
    "case": str.upper,
    "spaces": lambda text: "  ".join(text.split()),
    "signs": lambda text: text.replace(" ,", "").replace(" .", "") + "!",
    "one letter": letter,
    "one word replaced": lambda text: word(text, "film"),
    "one word missing": word,
}


def near_copies(data: Path) -> Iterator[dict[str, object]]:
    with open(data / "rt_polarity/rt_polarity.csv", newline="", encoding="utf-8") as file:
        texts = [row["text"] for row in csv.DictReader(file)]
    own = int(examined(text=texts)[1].copied.sum())
    for name, change in CHANGES.items():
        chosen = random.sample(range(len(texts)), PLANTED)
        leader = examined(text=[*texts, *(change(texts[row]) for row in chosen)])[1].leader
        found = sum(leader[len(texts) + place] == row for place, row in enumerate(chosen))
        yield {"copies": name, "found": found / PLANTED, "copies_in_the_data_itself": own}


def pairs(data: Path) -> Iterator[dict[str, object]]:
    english, german = (
        (data / f"multi30k/train.{language}").read_text(encoding="utf-8").rstrip("\n").split("\n")
        for language in ("en", "de")
    )
    number = len(english)
    own = {
        kind: {fix.row for fix in finding.fixes} for kind, finding in examined(source=english, target=german)[0].items()
    }
    chosen = random.sample(range(number), 4 * PAIRS)
    kinds = ("swapped", "untranslated", "wrong_side", "length_ratio")
    planted = {kind: chosen[place * PAIRS : (place + 1) * PAIRS] for place, kind in enumerate(kinds)}
    source, target = list(english), list(german)
    for row in planted["swapped"]:
        source[row], target[row] = german[row], english[row]
    for row in planted["untranslated"]:
        target[row] = english[row]
    for row in planted["wrong_side"]:
        target[row] = english[(row + 7) % number]
    for row in planted["length_ratio"]:
        target[row] = " ".join(german[(row + step) % number] for step in range(5))
    found = examined(source=source, target=target)[0]
    for kind, rows in planted.items():
        named = {fix.row for fix in found[kind].fixes} if kind in found else set()
        false = len(named - set(rows) - own.get(kind, set()))
        yield {"pairs": kind, "found": len(named & set(rows)) / PAIRS, "false": false, "before": len(own.get(kind, ()))}
    shifted = examined(source=english[:-1], target=[*german[:15_000], *german[15_001:]])[0].get("misaligned")
    yield {"pairs": "misaligned from 15,000 on", "found": shifted.message if shifted else ""}


def flipped(source: Path, noise: float, table: Path) -> np.ndarray:
    """Write a table with wrong labels (the last column); return which rows they are."""
    with open(source, newline="", encoding="utf-8") as file:
        head, *rows = list(csv.reader(file))
    names = sorted({row[-1] for row in rows})
    wrong = np.zeros(len(rows), bool)
    wrong[np.random.default_rng(0).permutation(len(rows))[: round(noise * len(rows))]] = True
    for row, flip in zip(rows, wrong, strict=True):
        if flip:
            row[-1] = names[1 - names.index(row[-1])]
    with open(table, "w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([[*head[:-1], "label"], *rows])
    return wrong


SETS = {
    "rt_polarity": "rt_polarity/rt_polarity.csv", "subj": "subj/subj.csv", "sst2": "sst2/train.csv",
    "adult": "tabular_dev/adult/train.csv",
}  # fmt: skip


def labels(data: Path, sets: list[str]) -> Iterator[dict[str, object]]:
    for name in sets:
        source = data / SETS[name]
        for noise in (0.1, 0.2):
            with tempfile.TemporaryDirectory() as folder:
                table = Path(folder) / "labels.csv"
                wrong = flipped(source, noise, table)
                began = time.monotonic()
                rows, given, opinion = doubtful_labels.opinions(reading.read(str(table), DataRequest(target="label")))
            doubt = 1 - opinion[np.arange(len(rows)), given]
            found = auroc(doubt[~wrong[rows]], doubt[wrong[rows]])
            yield {"labels": name, "noise": noise, "auroc": found, "seconds": round(time.monotonic() - began, 1)}


WAYS = {"copies": near_copies, "pairs": pairs}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("parts", nargs="*", choices=[[], *WAYS, "labels"], help="default: all")
    parser.add_argument("--sets", nargs="*", choices=list(SETS), default=list(SETS), help="of labels; default: all")
    arguments = parser.parse_args()
    random.seed(0)
    ways = {**WAYS, "labels": lambda data: labels(data, arguments.sets)}
    for part in arguments.parts or ways:
        for row in ways[part](arguments.data):
            print(json.dumps(row), flush=True)


if __name__ == "__main__":
    main()
