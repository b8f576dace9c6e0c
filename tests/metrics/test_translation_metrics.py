"""BLEU and chrF against sacrebleu, the field's standard, on texts that try its corners."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from engram.metrics.bleu import Bleu
from engram.metrics.chrf import Chrf
from engram.metrics.token_cross_entropy import TokenCrossEntropy

sacrebleu = pytest.importorskip("sacrebleu")

REFERENCES = [
    "Ein Mann fährt mit dem Fahrrad die Straße entlang.",
    "Zwei Hunde spielen im Schnee – und (ganz) ohne Leine!",
    "Das kostet 1,50 Euro, also 3.000 Cent; 20-mal so viel wie \"früher\".",
    "Ja.",
    "A & B &amp; C &quot;D&quot; <skipped> x-\ny",
    "狗在雪地里玩耍。",
    "Привет, мир!",
]  # fmt: skip
ANSWERS = {
    "near": [
        "Ein Mann fährt auf einem Fahrrad die Straße entlang.",
        "Zwei Hunde spielen im Schnee ohne Leine!",
        "Das kostet 1.50 Euro, 3000 Cent, 20-mal so viel wie früher.",
        "Ja, ja.",
        "A & B & C \"D\" x-y",
        "狗在玩。",
        "Привет мир",
    ],
    "equal": REFERENCES,
    "empty": [""] * len(REFERENCES),
    "foreign": ["one two three four five six"] * len(REFERENCES),
    "short": ["Ein", "Zwei Hunde", "Das", "Ja", "A", "狗", "мир"],
}  # fmt: skip


@pytest.mark.parametrize("answers", ANSWERS.values(), ids=ANSWERS)
@pytest.mark.parametrize("rows", [slice(None), slice(0, 1), slice(2, 5)])
def test_scores_are_those_of_sacrebleu(answers, rows):
    ours, theirs = answers[rows], REFERENCES[rows]
    for metric, standard in ((Bleu(), sacrebleu.BLEU()), (Chrf(), sacrebleu.CHRF())):
        value = metric.compute(metric.update(ours, SimpleNamespace(target=theirs)))
        assert value == pytest.approx(standard.corpus_score(ours, [theirs]).score, abs=1e-6)
        assert str(standard.get_signature()).startswith(metric.signature)


def test_a_weight_counts_an_example_as_often():
    ours, theirs = ANSWERS["near"][:3], REFERENCES[:3]
    for metric in (Bleu(), Chrf()):
        statistics = metric.update(ours, SimpleNamespace(target=theirs))
        repeated = metric.update([ours[0], ours[0], ours[2]], SimpleNamespace(target=[theirs[0], theirs[0], theirs[2]]))
        assert metric.compute(statistics, np.array([2, 0, 1])) == pytest.approx(metric.compute(repeated))


def test_ids_are_read_as_texts():
    metric = Bleu(text=lambda ids: [" ".join(map(str, row)) for row in ids])
    ids = [[1, 2, 3, 4, 5]]
    assert metric.compute(metric.update(ids, SimpleNamespace(target=ids))) == pytest.approx(100)


def test_long_texts_count_by_their_tokens():
    nats, there = torch.tensor([[1.0, 1.0, 9.0], [3.0, 4.0, 5.0]]), torch.tensor([[1, 1, 0], [1, 1, 1]]).bool()
    metric = TokenCrossEntropy(scored=lambda batch: batch.there)
    assert metric.compute(metric.update(nats, SimpleNamespace(there=there))) == pytest.approx(14 / 5)
