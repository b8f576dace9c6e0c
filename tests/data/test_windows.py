"""Windows: training sees every token once an epoch, evaluation scores each once, with what is before it."""

import numpy as np
import pytest

from engram.core.vocabulary import BEGIN, END, PADDING
from engram.data.examples import Examples
from engram.data.stored import Ragged, Stored
from engram.data.windows import Windows, over_texts
from engram.features._tokenizers import Bytes
from engram.features.text import Text

TEXTS = ["abcdefghijklmnopqrstuvwxyz" * 3, "0123", "more", "ABCDEFGHIJ" * 4]


def windows(texts: list[str], *, continues: list[bool] | None = None, split: str = "val") -> Windows:
    parts = [np.frombuffer(text.encode(), np.uint8) for text in texts]
    sizes = np.array([len(part) for part in parts])
    ragged = Ragged(np.concatenate(parts), np.concatenate([[0], np.cumsum(sizes)[:-1]]), sizes[:, None])
    stored = Stored({"utf8": ragged}, np.ones(len(texts), bool), np.zeros((len(texts), 16), np.uint8))
    feature = Text()
    feature.tokenizer = Bytes()
    follows = None if continues is None else np.array(continues)
    return over_texts(
        Examples({"text": feature}, {"text": stored}, {split: np.arange(len(texts))}, continues=follows),
        role="text", context=16,
    )  # fmt: skip


def stream(texts: list[str]) -> list[int]:
    return [token for text in texts for token in (BEGIN, *(byte + 4 for byte in text.encode()), END)]


def scored(some: Windows, rows: np.ndarray, **options: int) -> list[int]:
    batch = some.batch(rows, **options)
    return batch.text[:, 1:][batch.scored].tolist()


def test_evaluation_scores_every_token_once_in_its_order() -> None:
    some = windows(TEXTS)
    assert scored(some, some.splits["val"]) == [token for token in stream(TEXTS) if token != BEGIN]


def test_evaluation_gives_every_token_half_a_window_or_all_that_is_before_it() -> None:
    some = windows(TEXTS)
    batch = some.batch(some.splits["val"])
    for number, asked in enumerate(batch.scored.numpy()):
        first = int(np.flatnonzero(asked)[0]) if asked.any() else 8
        assert first >= 8 or number == 0 or BEGIN in batch.text[number, : first + 1]


@pytest.mark.parametrize("epoch", [0, 1, 5])
def test_training_sees_every_token_once_an_epoch_wherever_windows_begin(epoch: int) -> None:
    some = windows(TEXTS, split="train")
    seen = scored(some, some.splits["train"], epoch=epoch, seed=3)
    whole = [token for token in stream(TEXTS) if token != BEGIN]
    assert whole[: len(seen)] == seen and len(whole) - len(seen) < 16
    assert seen == scored(some, some.splits["train"], epoch=epoch, seed=3)


def test_pieces_of_a_running_text_are_one_document() -> None:
    some = windows(["abc", "def", "x"], continues=[False, True, False])
    text = some.batch(some.splits["val"]).text[0]
    assert text[text != PADDING].tolist() == stream(["abcdef", "x"])


def test_bytes_of_the_windows_are_those_of_the_text() -> None:
    some = windows(TEXTS)
    total = some.batch(some.splits["val"]).bytes.sum().item()
    assert total == pytest.approx(sum(map(len, TEXTS)), rel=0.05)


def test_a_text_shorter_than_a_window() -> None:
    some = windows(["a"])
    assert scored(some, some.splits["val"]) == [ord("a") + 4, END]
