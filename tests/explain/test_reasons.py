"""Answers explained by their parts: what is planted is found, and what is taken away is gone."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import writing_run
from torch import nn

from engram.core.claim import Claim, log_odds
from engram.core.parts import Parts
from engram.core.task import Batch
from engram.explain import attribution, deletion
from engram.explain.question import Question, ask
from engram.explain.why import why
from engram.features._parts_of_pictures import filled, parts_of
from engram.features.text import Text
from engram.predict.predictor import load
from engram.predict.writing import Writer


class Weighed(nn.Module):
    """A linear model of ten numbers: what each part does is known."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor([[3.0, 0, 1, -2, 0, 0, 0.5, 0, 0, 0], [0.0] * 10]))

    def forward(self, x):
        return x @ self.weight.T


def question(model: nn.Module | None = None) -> Question:
    """Why a row of ones is given the first of two classes."""
    x = torch.ones(1, 10)
    parts = Parts(
        "columns", {}, [f"c{number}" for number in range(10)], np.zeros((10, 0)),
        lambda gone: x * ~torch.from_numpy(np.asarray(gone, bool)), np.eye(10, dtype=bool), shares=lambda value: value,
    )  # fmt: skip
    claim = Claim(lambda model, batch: log_odds(model(batch.x).double()), 0, lambda number: "ab"[number])
    return Question(None, model or Weighed(), Batch(rows=np.arange(1), x=x), "x", parts, claim)  # type: ignore[arg-type]


@pytest.mark.parametrize("method", [attribution.occlusion, attribution.by_orders, attribution.integrated])
def test_the_weights_of_a_linear_model_are_found(method) -> None:
    found = method(question())
    assert found == pytest.approx([3, 0, 1, -2, 0, 0, 0.5, 0, 0, 0], abs=1e-4)


def test_plain_gradients_do_not_know_for_from_against() -> None:
    assert attribution.gradients(question()) == pytest.approx([3, 0, 1, 2, 0, 0, 0.5, 0, 0, 0], abs=1e-4)


def test_what_speaks_for_an_answer_goes_first() -> None:
    best = deletion.explained(question())
    assert best.curve[0] == pytest.approx(1 / (1 + np.exp(-2.5)))
    assert best.curve[1] == pytest.approx(1 / (1 + np.exp(0.5)))  # without the one that weighs 3
    assert best.curve[-1] == pytest.approx(0.5)
    assert best.curve.mean() < deletion.curve(question(), -best.influence).mean()


def test_as_few_parts_as_change_the_answer() -> None:
    found = why(question())
    assert found.changing == [0] and found.instead == "b"
    assert found.record()["without"] == ["c0"]


class Steps(nn.Module):
    """As trees answer: nothing to be differentiated."""

    def forward(self, x):
        return torch.stack([(x[:, 0] > 0.5).float() * 4 - 2, torch.zeros(len(x))], 1).detach()


def test_without_gradients_the_other_ways_are_left() -> None:
    asked = question(Steps())
    assert attribution.gradients(asked) is None and attribution.integrated(asked) is None
    assert int(deletion.explained(asked).influence.argmax()) == 0


def test_log_odds_are_exact_where_an_answer_is_all_but_certain() -> None:
    logits = torch.tensor([[60.0, 0.0, 1.0], [0.3, 0.2, -0.4]], dtype=torch.float64)
    others = torch.stack(
        [logits[:, [1, 2]].logsumexp(1), logits[:, [0, 2]].logsumexp(1), logits[:, :2].logsumexp(1)], 1
    )
    torch.testing.assert_close(log_odds(logits), logits - others)
    assert log_odds(logits[:, :1]).equal(logits[:, :1])


def test_holes_are_filled_from_what_is_around_them() -> None:
    x = torch.zeros(1, 1, 8, 8)
    x[..., 4:] = 1.0
    kept = torch.ones(1, 1, 8, 8, dtype=torch.bool)
    kept[:, :, 2:4, 0:2] = kept[:, :, 2:4, 6:8] = False
    found = filled(x, kept)
    assert found[kept].equal(x[kept])
    assert float(found[0, 0, 2, 0]) < 0.3 and float(found[0, 0, 2, 7]) > 0.7
    assert filled(x, torch.zeros_like(kept)).abs().max() == 0


@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 40, 57), (3, 5, 9)])
def test_squares_cover_a_picture_once(shape: tuple[int, int, int]) -> None:
    x = torch.rand(1, *shape)
    parts = parts_of(x, np.zeros((*shape[1:], shape[0]), np.uint8))
    number = len(parts.names)
    assert parts.encode(np.zeros((1, number), bool)).equal(x)
    assert parts.shares is not None
    assert parts.shares(torch.ones(1, *shape)).sum() == np.prod(shape)
    covered = np.zeros(shape[1:], int)
    for top, bottom, left, right in parts.places:
        covered[top:bottom, left:right] += 1
    assert (covered == 1).all() and parts.windows.any(0).all()


@pytest.mark.parametrize("tokenizer", ["characters", "bytes", "words"])
def test_words_are_taken_out_of_texts(tokenizer: str) -> None:
    feature = Text(tokenizer=tokenizer)
    value = feature.store("Not bad, not at all 🙂")
    stored = type("Stored", (), {"arrays": {"utf8": [value["utf8"]]}, "nbytes": 99, "info": {}})()
    feature.fit(stored, np.arange(1))
    parts = feature.parts({"utf8": [value["utf8"]]})
    assert parts is not None and parts.names == ["Not", "bad", ",", "not", "at", "all", "🙂"]
    gone = np.zeros((2, 7), bool)
    gone[1, [1, 2]] = True
    whole, rest = feature.decode(parts.encode(gone))
    assert "bad" in whole.lower() and "bad" not in rest.lower() and "," not in rest
    everything = feature.encode({"utf8": [value["utf8"]]}).shape[1]
    assert set(parts.belongs[everything]) == {-1, *range(7)}


def test_a_reply_hangs_on_what_was_said_before_it(tmp_path) -> None:
    predictor = load(writing_run.make(tmp_path / "run"))
    talk, reply = [("user", "how are you"), ("assistant", "fine, thank you")], len("fine, thank you") + 1
    asked = ask(predictor, talk)
    assert asked is not None and asked.answer == "“fine, thank you”" and asked.parts.names == ["how", "are", "you"]
    nats = predictor.output(predictor.encode([talk]))[0][0, -reply:]
    (support,) = asked.support(np.zeros((1, 3), bool))
    assert asked.probability(support) == pytest.approx(float((-nats.mean()).exp()), rel=1e-4)
    plain = attribution.gradients(asked)
    assert plain is not None and (plain > 0).all(), "every word is read"
    assert why(asked).record()["kind"] == "words"


def test_what_nobody_has_replied_to_is_explained_by_the_likeliest_reply(tmp_path) -> None:
    predictor = load(writing_run.make(tmp_path / "run"))
    asked = ask(predictor, "how are you")
    assert asked is not None and asked.parts.whole == "user: how are you"
    feature, sampling = predictor.by_role.text, predictor.task.answers.sampling(temperature=0, max_tokens=40)
    prompt, _ = feature.prompt([("user", "how are you")], most=60)
    written = list(
        Writer(predictor.module, predictor.task.answers.context, feature.tokenizer.size).write(prompt, sampling)
    )
    assert feature.tokenizer.decode(written).strip() == asked.answer[1:-1]
