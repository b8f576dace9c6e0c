"""Conversations as ids: the template, which of it is learned, and what a prompt keeps of a long talk."""

import numpy as np
import pytest

from engram.core.errors import DataError, RunError
from engram.core.vocabulary import BEGIN, END
from engram.data.store import prepare
from engram.data.table import Column
from engram.features.turns import ROLES, Turns

TALK = [("system", "be brief"), ("user", "hello"), ("assistant", "hi"), ("user", "bye"), ("assistant", "bye")]


def fitted(*, replies: str = "assistant") -> Turns:
    feature = Turns(tokenizer="characters", replies=replies)
    stored = prepare(Column("messages", [TALK, TALK[1:]], "turns"), feature)
    feature.fit(stored, np.arange(2))
    return feature


def written(feature: Turns, talk: list[tuple[str, str]]) -> tuple[list[int], list[bool]]:
    stored = feature.store(talk)
    ids, asked = feature._written(stored["utf8"], stored["turns"])
    return ids.tolist(), asked.tolist()


@pytest.mark.parametrize(("replies", "learned"), [("assistant", ["hi", "bye"]), ("all", ["hello", "hi", "bye", "bye"])])
def test_replies_alone_are_learned_with_their_end(replies: str, learned: list[str]) -> None:
    feature = fitted(replies=replies)
    ids, asked = written(feature, TALK)
    assert sum(asked) == sum(len(reply) + 1 for reply in learned)
    ends = [place for place, token in enumerate(ids) if token == END]
    assert [asked[end] for end in ends] == [False, replies == "all", True, replies == "all", True]
    roles = [place for place, token in enumerate(ids) if token >= feature.tokenizer.size]
    assert [ROLES[ids[place] - feature.tokenizer.size] for place in roles] == [role for role, _ in TALK]
    assert not any(asked[place] for place in roles), "who speaks next is given, not learned"


def test_ids_are_read_back_as_turns() -> None:
    feature = fitted()
    encoded = feature.encode({name: [value] for name, value in feature.store(TALK).items()})
    assert encoded[0, 0] == BEGIN and feature.decode(encoded) == [TALK]


def test_a_prompt_ends_where_the_assistant_speaks_and_forgets_the_first_turns() -> None:
    feature = fitted()
    ids, dropped = feature.prompt(TALK[:4], most=200)
    assert dropped == 0 and ids[0] == BEGIN and ids[-1] == feature.tokenizer.size + ROLES.index("assistant")
    assert ids[1:-1] == written(feature, TALK[:4])[0]
    short, dropped = feature.prompt(TALK[:4], most=14)
    assert dropped == 2 and short[1:-1] == written(feature, TALK[2:4])[0]
    for most in (6, 9, 14, 30):
        ids, dropped = feature.prompt([("user", "hello hello hello " * 9)], most=most)
        assert dropped == 0 and len(ids) <= most and ids[1] == feature.tokenizer.size + ROLES.index("user")
        assert ids[-2] == END, "one long turn keeps its end"


def test_what_is_no_talk_is_refused() -> None:
    for value, said in (([("user", "alone")], "no reply"), (5, "a list"), ([1, 2], "a list")):
        with pytest.raises(DataError, match=said):
            fitted().store(value)


def test_a_template_with_other_roles_is_refused() -> None:
    values, arrays = fitted().state()
    assert (again := Turns()).load_state(values, arrays) is None and again.size == fitted().size
    with pytest.raises(RunError, match="other roles"):
        Turns().load_state({**values, "roles": ["user"]}, arrays)


def test_what_was_said_before_a_reply_is_taken_apart_into_words() -> None:
    feature = fitted()
    gathered = {name: [value] for name, value in feature.store(TALK[:3]).items()}
    parts = feature.parts(gathered)
    assert parts is not None and parts.names == ["be", "brief", "hello"]
    assert [parts.whole[a:b] for a, b in parts.places] == parts.names
    gone = np.zeros((2, 3), bool)
    gone[1, [1, 2]] = True
    whole, rest = feature.decode(parts.encode(gone))
    assert whole == TALK[:3] and rest == [("system", "be"), ("user", " "), ("assistant", "hi")]
    prompt, _ = feature.prompt(TALK[:2], most=200)
    (part_N,) = parts.belongs.values()
    said = feature.pieces(prompt)
    assert len(part_N) == len(prompt)
    assert ["".join(c for c, p in zip(said, part_N, strict=True) if p == part) for part in range(3)] == parts.names
