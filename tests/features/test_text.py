"""Texts are cut into pieces and put together again, whatever they hold; vocabularies are saved as data alone."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engram.core.errors import ConfigError, DataError, RunError
from engram.core.vocabulary import BEGIN, END, PADDING, UNKNOWN
from engram.data.store import prepare
from engram.data.stored import collate
from engram.data.table import Column
from engram.features._tokenizers import KINDS, split_words
from engram.features.text import Text

TEXTS = [
    "The quick brown fox jumps over the lazy dog.", "She said: “don't!”", "日本語のテキスト", "naïve café 🙂 שלום",
    "a tab\tand a\nline", "numbers 12 and 345", "Der schnelle braune Fuchs springt.", "x",
] * 5  # fmt: skip


def utf8(*texts: str) -> list[np.ndarray]:
    return [np.frombuffer(text.encode(), np.uint8) for text in texts]


@pytest.fixture(scope="module", params=sorted(KINDS))
def tokenizer(request):
    return KINDS[request.param].fit(utf8(*TEXTS), size=400)


def test_a_tokenizer_gives_texts_back_and_is_saved_as_data(tokenizer):
    ids = tokenizer.encode(utf8(*TEXTS))
    assert all(some.min() > UNKNOWN and some.max() < tokenizer.size for some in ids)
    again = type(tokenizer).from_state(*tokenizer.state())
    assert all(np.array_equal(a, b) for a, b in zip(ids, again.encode(utf8(*TEXTS)), strict=True))
    for text, some in zip(TEXTS, ids, strict=True):
        expected = " ".join(split_words(text)) if tokenizer.kind == "words" else text
        assert again.decode(some) == expected
    assert tokenizer.decode([PADDING, BEGIN, END]) == ""


@settings(max_examples=60, deadline=None)
@given(st.text(alphabet=st.characters(blacklist_categories=("Cs",)), max_size=60))
def test_what_training_never_saw_is_unknown_or_given_back(tokenizer, text):
    (ids,) = tokenizer.encode(utf8(text))
    assert len(ids) == 0 or (ids.min() >= UNKNOWN and ids.max() < tokenizer.size)
    back = tokenizer.decode(ids)
    if tokenizer.kind == "bytes":
        assert back == text
    if tokenizer.kind == "characters":
        assert len(back) == len(text) and all(a in (b, "\ufffd") for a, b in zip(back, text, strict=True))


@pytest.mark.parametrize("kind", sorted(set(KINDS) - {"bytes"}))
def test_a_damaged_vocabulary_is_refused(kind):
    for state in ({}, {}), ({"words": ["a", "a"]}, {"points": np.zeros((2, 2)), "model": np.zeros(4, np.uint8)}):
        with pytest.raises(RunError):
            KINDS[kind].from_state(*state)


def fitted(**config):
    feature = Text(**config)
    stored = prepare(Column("text", TEXTS, "text"), feature)
    feature.fit(stored, np.arange(len(TEXTS)))
    return feature, stored.refined(feature)


def test_texts_begin_end_and_are_padded_and_cut():
    feature, stored = fitted(tokenizer="characters", ends=True, longest=10)
    text_BT = feature.encode(stored.gather([0, 7]))
    assert text_BT.shape == (2, 10) and (text_BT[:, 0] == BEGIN).all() and text_BT[0, -1] == END
    assert text_BT[1].tolist()[2:] == [END] + [PADDING] * 7
    assert feature.decode(text_BT) == ["The quic", "x"]
    assert feature.lengths(stored, np.array([0, 7])).tolist() == [10, 3]


def test_one_text_is_encoded_as_among_others():
    feature, stored = fitted(tokenizer="subwords", vocabulary=400)
    alone = feature.encode(collate([feature.store(TEXTS[3])]))
    assert alone.equal(feature.encode(stored.gather([3])))


@pytest.mark.parametrize("value", [None, "", " \n\t", 3, b"\xff\xfe\x00"])
def test_what_is_no_text_is_refused(value):
    with pytest.raises(DataError):
        Text().store(value)


def test_a_lone_surrogate_does_not_stop_the_work():
    assert Text().store("a\ud800b")["utf8"].tobytes() == b"a?b"


def test_the_kind_follows_from_the_texts_and_a_wrong_one_is_named():
    assert fitted()[0].tokenizer.kind == "characters"
    with pytest.raises(ConfigError, match="words"):
        Text(tokenizer="wrods")
