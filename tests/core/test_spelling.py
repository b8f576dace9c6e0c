"""Words and their pieces are found on the device as they stand in the text, in every script, wherever they stand."""

import numpy as np
import pytest
import torch

from engram.core.spelling import LENGTHS, Spelling, pairs, word_spans
from engram.data.store import prepare
from engram.data.table import Column
from engram.features.text import Text

TEXTS = [
    "The cat sat.",
    "a CAT, sat on the mat",
    "don't!",
    "猫が好き ok",
    "naïve café",
    " \u05e9\u05dc\u05d5\u05dd 🙂",
    "x",
]


def fitted(texts, kind="characters"):
    feature = Text(tokenizer=kind)
    stored = prepare(Column("text", list(texts), "text"), feature)
    feature.fit(stored, np.arange(len(texts)))
    return feature, Spelling.of(feature.tokenizer)


def ids(feature, texts):
    return feature.encode({"utf8": [np.frombuffer(text.encode(), np.uint8) for text in texts]})


@pytest.mark.parametrize("kind", ["characters", "bytes"])
def test_words_are_counted_as_they_stand_in_the_text(kind):
    feature, spelling = fitted(TEXTS, kind)
    texts = [text for text in TEXTS if kind == "characters" or text.isascii()]
    found = (spelling(ids(feature, texts)).word > 0).sum(1)
    assert found.tolist() == [len(word_spans(text)) for text in texts]


def test_a_word_is_the_same_in_capitals_and_anywhere_and_other_words_are_others():
    feature, spelling = fitted(TEXTS)
    word = spelling(ids(feature, ["The cat sat.", "sat the CAT act", "x"])).word
    assert word[0, :3].tolist() == word[1, [1, 2, 0]].tolist()
    assert len({*word[0].tolist(), *word[1].tolist()} - {0}) == 5  # the, cat, sat, the full stop, act
    assert (word[2, 1:] == 0).all()


def test_pieces_stay_within_words_and_know_where_words_end():
    feature, spelling = fitted(["abcd abc bcd dcba"])
    _, piece, place, _ = spelling(ids(feature, ["abcd abc bcd"]))
    three = piece[0, :, LENGTHS.index(3)]
    assert place[0].tolist() == [0, 1, 1, 1, 1, 0, 2, 2, 2, 0, 3, 3, 3]
    assert (three > 0).tolist() == [at in (3, 4, 8, 12) for at in range(13)]
    assert len(set(three[three > 0].tolist())) == 4, "abc at the beginning of abcd is another piece than abc alone"


def test_pairs_know_their_order_and_the_beginning():
    feature, spelling = fitted(["one two three"])
    found = [pairs(spelling(ids(feature, [text])).word)[0] for text in ("one two", "two one", "three one two")]
    assert found[0][1] == found[2][2]
    assert found[0][1] != found[1][1]
    assert found[0][0] != found[2][1]


def test_words_of_a_vocabulary_are_words_by_themselves():
    feature, spelling = fitted(["good bad good ugly"], "words")
    word, piece, _, _ = spelling(ids(feature, ["good ugly good"]))
    assert word[0, 0] == word[0, 2] != word[0, 1]
    assert not piece[..., LENGTHS.index(3)].any()


def test_padding_changes_nothing_and_a_blank_text_has_no_word():
    feature, spelling = fitted(TEXTS)
    alone, among = spelling(ids(feature, ["a cat"])).word, spelling(ids(feature, ["a cat", TEXTS[1]])).word
    assert among[0, : alone.shape[1]].tolist() == alone[0].tolist()
    assert not among[0, alone.shape[1] :].any()
    assert not spelling(ids(feature, [" "])).word.any()


def test_it_can_be_exported_with_any_number_and_length_of_texts():
    feature, spelling = fitted(TEXTS)
    batch, length = torch.export.Dim("batch"), torch.export.Dim("length")
    shapes = {"text_BT": {0: batch, 1: length}}
    exported = torch.export.export(spelling, (ids(feature, TEXTS[:3]),), dynamic_shapes=shapes).module()
    text_BT = ids(feature, TEXTS[1:])
    here, there = spelling(text_BT), exported(text_BT)
    assert torch.equal(there[0][:, : here.word.shape[1]], here.word)
    assert torch.equal(there[1], here.piece)


def test_words_of_one_shape_are_alike_and_signs_are_themselves():
    text = "The cat saw NASA, 12 B2 ÉCOLE 猫 Anna 7 !?"
    feature, spelling = fitted([text])
    shape = spelling(ids(feature, [text])).shape[0].tolist()
    number = dict(zip([text[a:b] for a, b in word_spans(text)], shape, strict=True))
    assert number["cat"] == number["saw"] and number["NASA"] == number["ÉCOLE"] and number["12"] == number["7"]
    assert number["The"] == number["Anna"]
    assert len({number[word] for word in ("The", "cat", "NASA", ",", "12", "B2", "!", "?")}) == 8
