"""Conversations: lists of turns, however they were exported, as lists of (role, text)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

ROLES = {
    **dict.fromkeys(("user", "human", "prompter", "customer", "client", "you"), "user"),
    **dict.fromkeys(("assistant", "gpt", "bot", "chatbot", "model", "agent", "chatgpt", "ai"), "assistant"),
    "system": "system",
}
"""What speakers are called in exports -> what they are called here."""

SPEAKERS = ("user", "assistant")
"""Who speaks by turns, where nobody is named."""

_CALLED = "turns messages conversation conversations dialog dialogue dialogs chat thread utterances"
COLUMNS = frozenset(_CALLED.split())
"""Columns whose lists of texts are what was said, one after the other."""

_ROLE_KEYS = ("role", "from", "speaker", "author", "sender")
_TEXT_KEYS = ("content", "value", "text", "utterance", "message")

Turn = tuple[str, str]


def as_turns(name: str, values: Sequence[Any]) -> list[list[Turn] | None] | None:
    """Return the conversations of a column, or None where its values are none.

    Turns are mappings with a role and a text (`role`/`content`, `from`/`value`, ...), pairs of both, or texts alone
    in a column that is called so (`COLUMNS`), spoken by turns. Turns without text are left out.
    """
    lists = [value for value in values if isinstance(value, list | tuple)]
    some = next(filter(None, lists), ())
    if not any(_is_turn(turn, name) for turn in some) or len(lists) < sum(value is not None for value in values):
        return None
    return [None if value is None else conversation(value) for value in values]


def any_named(values: Sequence[Any]) -> bool:
    """Whether any turn says who speaks."""
    return any(_turn(turn)[0] is not None for value in values if value is not None for turn in value)


def conversation(turns: Sequence[Any]) -> list[Turn]:
    """Return the turns of one conversation; speakers of unknown names are user and assistant in their order."""
    named: dict[str, str] = {}
    found = []
    for number, turn in enumerate(turns):
        role, text = _turn(turn)
        if role is None:
            role = SPEAKERS[number % 2]
        elif (known := ROLES.get(role.strip().lower())) is not None:
            role = known
        else:
            role = named.setdefault(role, SPEAKERS[len(named)] if len(named) < len(SPEAKERS) else role)
        if text.strip():
            found.append((role, text))
    return found


def _is_turn(turn: Any, name: str) -> bool:
    if isinstance(turn, Mapping):
        return _key(turn, _ROLE_KEYS) is not None and _key(turn, _TEXT_KEYS) is not None
    if isinstance(turn, str):
        return name.strip().lower() in COLUMNS
    return _is_pair(turn)


def _is_pair(turn: Any) -> bool:
    named = isinstance(turn, list | tuple) and len(turn) == 2 and all(isinstance(part, str) for part in turn)
    return named and turn[0].strip().lower() in ROLES


def _turn(turn: Any) -> tuple[str | None, str]:
    """Role and text of a turn; what is no turn has no text."""
    if isinstance(turn, Mapping):
        role, text = _key(turn, _ROLE_KEYS), _key(turn, _TEXT_KEYS)
        return str(turn[role]) if role and turn[role] is not None else None, plain(turn[text]) if text else ""
    if _is_pair(turn):
        return turn[0], turn[1]
    return None, turn if isinstance(turn, str) else ""


def _key(turn: Mapping[str, Any], keys: Sequence[str]) -> str | None:
    return next((key for key in keys if key in turn), None)


def plain(content: Any) -> str:
    """Return the text of a turn's content; of one in parts (text, pictures) the texts among them."""
    if isinstance(content, str):
        return content
    if isinstance(content, Mapping):
        return plain(content.get("text"))
    return "\n".join(filter(None, map(plain, content))) if isinstance(content, list | tuple) else ""
