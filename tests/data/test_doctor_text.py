"""What the doctor says of texts that are wrong in one way, and that it is silent about sound ones."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engram.core.evidence import Finding
from engram.core.shingles import shingles, split_texts
from engram.data import doctor
from engram.data.doctor import copies
from engram.data.doctor.banded import sharing_pairs
from engram.data.examples import Examples
from engram.data.split import assign
from engram.data.store import prepare
from engram.data.table import Column, Table
from engram.features import _wording
from engram.features._languages import language_of
from engram.features.category import Category
from engram.features.text import Text

GENERATOR = np.random.default_rng(0)
_ENGLISH = (
    "the of and to in is that it was for on with as his they at be this from have by not what all were when your can "
    "river house garden window letter morning silver basket neighbour kitchen travel winter summer music paper bridge "
    "quiet yellow open broken little early heavy bright carry answer wonder follow remember gather believe whisper"
)
_GERMAN = (
    "der die das und ist nicht ein eine zu den von mit auf sich des dem im für auch es aus hat dass sie nach bei "
    "fluss haus garten fenster brief morgen silber korb nachbar küche reise winter sommer musik papier brücke still "
    "gelb offen kaputt klein früh schwer hell tragen antwort wundern folgen erinnern sammeln glauben flüstern"
)
ENGLISH, GERMAN = _ENGLISH.split(), _GERMAN.split()


def sentences(number: int, words: list[str] = ENGLISH) -> list[str]:
    return [" ".join(GENERATOR.choice(words, GENERATOR.integers(8, 20))) + "." for _ in range(number)]


def translations(number: int) -> tuple[list[str], list[str]]:
    """Sentences whose lengths go together."""
    lengths = GENERATOR.integers(5, 30, number)
    return tuple([" ".join(GENERATOR.choice(words, n)) for n in lengths] for words in (ENGLISH, GERMAN))  # type: ignore


def findings(cache, *, labels=None, given=None, longest=0, tokenizer="auto", **columns) -> dict[str, Finding]:
    roles = {name: Column(name, values, "text") for name, values in columns.items()}
    features = {name: Text(longest=longest, tokenizer=tokenizer) for name in roles}
    if labels is not None:
        roles["label"], features["label"] = Column("label", labels, "text"), Category()
    stored = {role: prepare(column, features[role], cache=cache) for role, column in roles.items()}
    usable = np.logical_and.reduce([values.ok for values in stored.values()])
    first = next(iter(columns))
    alike = {first: copies.find(features[first], stored[first])}
    digests = stored[first].digest[alike[first].leader]
    splits = assign(labels=labels, digests=digests, given=given, usable=usable, where=roles[first].where)
    for role, feature in features.items():
        feature.fit(stored[role], splits.rows["train"])
    stored = {role: values.refined(features[role]) for role, values in stored.items()}
    table = Table({column.name: column for column in roles.values()}, "here", "1", split=given)
    found = doctor.inspect(examples=Examples(features, stored, splits.rows), table=table, roles=roles, copies=alike)
    return {finding.kind: finding for finding in [*found, *splits.findings]}


def rows(finding: Finding) -> list[int]:
    return [fix.row for fix in finding.fixes]


def test_sound_texts_and_pairs(tmp_path):
    assert set(findings(tmp_path, text=sentences(400), labels=["a", "b"] * 200)) == {"class_counts"}
    english, german = translations(600)
    assert findings(tmp_path, source=english, target=german) == {}


def test_blank_texts_are_set_aside(tmp_path):
    texts = sentences(100)
    texts[3] = "  \n"
    found = findings(tmp_path, text=texts)["unreadable"]
    assert found.severity == "warning" and found.where == ("text[3]: the text is empty",)


def test_copies_in_other_case_spaces_and_letters_and_their_labels(tmp_path):
    texts = sentences(200)
    texts[50] = texts[10]
    texts[51] = "  " + texts[11].upper().replace(" ", "  ") + "!!"
    texts[53] = texts[12].replace("the", "teh", 1).replace("of", "off", 1) if "the" in texts[12] else texts[12] + "s"
    found = findings(tmp_path, text=texts, labels=["a", "b"] * 100)
    assert rows(found["duplicates"]) == [50] and " = text[50] " in found["duplicates"].where[0]
    assert found["duplicates"].where[0].startswith(f"text[10] {texts[10][:20]!r}"[:-1])
    assert rows(found["near_duplicates"]) == [51, 53] and "in case, spaces" in found["near_duplicates"].message
    assert rows(found["near_label_conflict"]) == [12, 53] and "label_conflict" not in found


def test_near_copies_of_given_test_rows_are_left_out(tmp_path):
    texts = sentences(200)
    texts[190] = texts[5].upper()
    given_ = np.array(["train"] * 150 + ["test"] * 50)
    leak = findings(tmp_path, text=texts, labels=["a", "b"] * 100, given=given_)["leak"]
    assert leak.where == ("text[5]",) and leak.severity == "warning"


def test_letters_that_a_wrong_encoding_broke(tmp_path):
    texts = sentences(100)
    texts[4] += " Grüße aus München, très bien, naïve, “quoted”, ÄÖÜ"
    whole = findings(tmp_path, text=texts)
    assert not {"mojibake", "damaged_text", "control_characters"} & set(whole)
    for row, text in ((7, "schön"), (8, "“quoted”"), (9, "Änderung")):
        texts[row] += " " + text.encode().decode("cp1252", "replace")
    texts[20] += " caf\ufffd"
    texts[30] += "\x07"
    found = findings(tmp_path, text=texts)
    assert rows(found["mojibake"]) == [7, 8, 9] and "schÃ¶n" in found["mojibake"].fixes[0].reason
    assert 20 in rows(found["damaged_text"]) and rows(found["control_characters"]) == [30]
    assert {found[kind].severity for kind in ("mojibake", "damaged_text", "control_characters")} == {"warning"}


def test_texts_in_another_language(tmp_path):
    texts = sentences(300)
    for row, text in zip((5, 80, 200), sentences(3, GERMAN), strict=True):
        texts[row] = text
    texts[100] = "Привет, как дела? Сегодня хорошая погода"
    found = findings(tmp_path, text=texts)["language_mix"]
    assert rows(found) == [5, 80, 100, 200] and "most texts are in English" in found.message
    mixed = findings(tmp_path, text=sentences(100) + sentences(90, GERMAN))["language_mix"]
    assert "several languages" in mixed.message and not mixed.fixes


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("Das ist nicht der Weg, den wir gehen wollten", "German"),
        ("Il n'est pas dans la maison avec nous", "French"),
        ("no es la casa que el hombre tenía para su familia", "Spanish"),
        ("你好，世界", "Chinese"),
        ("これは本です", "Japanese"),
        ("good", None),
        ("a thriller with no es dialogue and not a plot for the young", "English"),
    ],
)
def test_languages(text, language):
    assert language_of(text) == language


def test_texts_without_letters_and_absurdly_long_ones(tmp_path):
    texts = sentences(200)
    texts[9], texts[17] = "!!! ...", " ".join(sentences(400))
    found = findings(tmp_path, text=texts)
    assert rows(found["wordless"]) == [9] and rows(found["long_text"]) == [17]


def test_what_the_context_cuts_off(tmp_path):
    texts = sentences(200)
    texts[3] = " ".join(texts[100:104])
    found = findings(tmp_path, text=texts, longest=40, tokenizer="words")
    assert rows(found["cut_short"]) == [3] and found["cut_short"].severity == "info"
    assert "longer than the 40 tokens" in found["cut_short"].message
    assert findings(tmp_path, text=texts, longest=8, tokenizer="words")["cut_short"].severity == "warning"


def test_pairs_that_do_not_go_together(tmp_path):
    english, german = translations(600)
    english[7], german[7] = german[7], english[7]
    german[20] = " ".join(sentences(30, GERMAN))
    german[40] = english[40]
    german[60] = " ".join(GENERATOR.choice(ENGLISH, len(english[60].split())))
    found = findings(tmp_path, source=english, target=german)
    assert {kind: rows(f) for kind, f in found.items() if f.severity == "warning"} == {
        "swapped": [7],
        "length_ratio": [20],
        "untranslated": [40],
        "wrong_side": [60],
    }


def test_pairs_that_are_shifted_from_some_row_on(tmp_path):
    english, german = translations(1200)
    del german[500]
    found = findings(tmp_path, source=english[:-1], target=german)["misaligned"]
    assert found.severity == "warning" and "by 1 row" in found.message
    assert abs(min(rows(found)) - 500) < 100 and len(found.fixes) >= 500


def test_how_texts_were_written_down_may_betray_the_label(tmp_path):
    texts = [text if row % 2 else text.rstrip(".") + "!" for row, text in enumerate(sentences(200))]
    found = findings(tmp_path, text=texts, labels=["a", "b"] * 100)["shortcut_last_sign"]
    assert "last sign betrays the label" in found.message


def test_labels_with_stray_spaces_and_in_other_case(tmp_path):
    labels = ["good", "bad"] * 50
    labels[0], labels[1], labels[3] = " good", "bad ", "Bad"
    found = findings(tmp_path, text=sentences(100), labels=labels)
    assert found["stray_spaces"].message.startswith("2 labels") and "' good': 1" in found["stray_spaces"].where
    assert "similar_labels" in found
    assert findings(tmp_path, text=sentences(50), labels=["a"] * 50)["one_class"].severity == "error"


# Near copies


def utf8(text: str) -> np.ndarray:
    return np.frombuffer(text.encode(), np.uint8)


def like(one: np.ndarray, other: np.ndarray) -> float:
    return _wording.likeness(*_wording.sketches([one, other]))


def spelt(text: str, length: int) -> set[str]:
    """Shingles in plain Python."""
    letters = "".join(c.lower() if c.isalnum() and len(c.lower()) == 1 else c if c.isalnum() else "\0" for c in text)
    letters = "\0".join(filter(None, letters.split("\0")))
    return {letters[at : at + length] for at in range(max(1, len(letters) - length + 1))} if letters else set()


WRITTEN = st.text(st.characters(exclude_categories=["Cs"], max_codepoint=0xFFFF), max_size=20)


@settings(max_examples=80, deadline=None)
@given(texts=st.lists(WRITTEN, min_size=1, max_size=5), length=st.integers(2, 6))
def test_shingles_are_those_of_the_letters(texts, length):
    hashes, numbers = shingles([utf8(text) for text in texts], length=length)
    expected = [spelt(text, length) for text in texts]
    found = [set(part.tolist()) for part in split_texts(hashes, numbers)]
    assert [len(part) for part in found] == [len(part) for part in expected]
    for first, one in zip(found, expected, strict=True):
        for second, other in zip(found, expected, strict=True):
            assert len(first & second) == len(one & other)


def test_likeness_is_the_share_of_shingles_in_common():
    one, spelt, other, far = map(utf8, ("one of a few", "One, of - a FEW!", "one of a fez", "one"))
    assert [like(one, text) for text in (one, spelt, other, far)] == [1.0, 1.0, 5 / 7, 0.0]


def test_near_copies_among_many_are_found_and_others_are_not():
    texts = [utf8(text) for text in sentences(3000)]
    for row in range(0, 100):
        spoiled = bytearray(texts[row].tobytes())
        spoiled[len(spoiled) // 2] = ord("q")
        texts[1000 + row] = np.frombuffer(bytes(spoiled), np.uint8)
    pairs = sharing_pairs(np.concatenate([_wording.signatures(texts[at : at + 256]) for at in range(0, 3000, 256)]))
    found = {(one, other) for one, other, _ in pairs.tolist() if like(texts[one], texts[other]) >= _wording.LIKE}
    true = {(row, 1000 + row) for row in range(100)}
    likely = {pair for pair in true if like(texts[pair[0]], texts[pair[1]]) >= _wording.LIKE}
    assert len(found & true) >= 0.98 * len(likely) and len(likely) > 60 and not found - true


def test_long_texts_that_share_most_are_near_copies():
    known = ["".join(GENERATOR.choice(list("abcdefghijklmnop"), 5)) for _ in range(5000)]
    words = list(GENERATOR.choice(known, 20_000))
    other = list(words)
    for at in range(0, 20_000, 500):
        other[at] = "changed"
    first, second, third = (
        utf8(" ".join(words)),
        utf8(" ".join(other)),
        utf8(" ".join(GENERATOR.choice(known, 20_000))),
    )
    signs = _wording.signatures([first, second, third])
    assert (signs[0] == signs[1]).any() and not (signs[0] == signs[2]).any()
    assert like(first, second) >= _wording.LIKE > 0.5 > like(first, third)


def test_hashes_below_zero_are_shared_by_none_and_large_groups_are_led_by_their_first():
    hashes = np.full((40, 3), -1)
    hashes[5:30, 1:] = 7
    hashes[[2, 35], 0] = 3
    pairs = sharing_pairs(hashes)
    assert {(5, row) for row in range(6, 30)} <= {(one, other) for one, other, _ in pairs.tolist()}
    assert pairs.min(0)[0] == 5 and len(pairs) <= 25 * 3
