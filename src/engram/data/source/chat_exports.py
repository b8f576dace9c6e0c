"""Chats as phones and programs export them (WhatsApp's text, Telegram's and ChatGPT's JSON), as conversations."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from operator import itemgetter
from typing import Any

from engram.data.source import encodings
from engram.data.source.columns import to_table
from engram.data.source.fingerprint import digest
from engram.data.source.turns import plain
from engram.data.table import Table

LOOKED_AT = 1 << 16
"""Bytes by which the form of a file is told."""

SPOKEN = 0.5
"""At least this share of a log's lines begin a message; the others go on with the one before."""

_DAY, _CLOCK = r"(\d{1,4}[./-]\d{1,2}[./-]\d{1,4})", r"\d{1,2}[:.]\d\d(?:[:.]\d\d)?(?:\s?[AaPp]\.?\s?[Mm]\.?)?"
_MESSAGE = re.compile(rf"[\u200e\u200f]*\[?{_DAY},?\s{_CLOCK}(?:\]|\s-)\s(.*)")
_ATTACHED = re.compile(r"\u200e?(?:<[^<>]+>|\S+ omitted)")
_NODES, _POST = "mapping", frozenset(("date", "from", "from_id", "text"))

Message = tuple[str, str, str]
"""The day, who wrote, and what."""


def read_chat_log(path: str) -> Table | None:
    """Read a log of messages, `day, time - name: text`, as a conversation a day; None where it is another text."""
    with open(path, "rb") as file:
        head = file.read(LOOKED_AT)
        if not re.match(rb"[^\n]{0,8}\d{1,4}[./-]\d", head):
            return None
        content = head + file.read()
    encoding = encodings.of_content(content, name=path)
    lines = encoding.decode(content[encoding.mark :]).split("\n")
    some = [line for line in lines[:1000] if line.strip()]
    if sum(_MESSAGE.match(line) is not None for line in some) < SPOKEN * len(some):
        return None
    talks = by_day(_messages(lines))
    if not talks:
        return None
    table = to_table({"dialog": talks}, base="", origin=path, content=digest("content", content))
    table.notes.append(
        f"The lines are messages of a chat: {len(talks):,} conversations, one for each day on which somebody answered."
    )
    return table


def by_day(messages: Iterable[Message]) -> list[list[str]]:
    """Return a conversation for each day, as texts spoken by turns: what one writes without an answer is one turn."""
    talks = []
    for _, some in groupby(messages, itemgetter(0)):
        turns = ["\n".join(text for *_, text in own) for _, own in groupby(some, itemgetter(1))]
        talks += [turns] if len(turns) > 1 else []
    return talks


def unfolded(rows: Sequence[Any]) -> list[Any] | None:
    """Return the conversations in the rows of ChatGPT's or Telegram's export; None where they are something else."""
    if not all(isinstance(row, Mapping) for row in rows):
        return None
    if all(isinstance(row.get(_NODES), Mapping) for row in rows):
        return [turns for row in rows if len(turns := _branch(row)) > 1]
    posts = [row for row in rows if row.keys() >= _POST]
    if len(posts) < SPOKEN * len(rows):
        return None
    said = ((str(row["date"])[:10], str(row["from"]), plain(row["text"])) for row in posts)
    return by_day(message for message in said if message[2].strip())


def _messages(lines: Iterable[str]) -> Iterator[Message]:
    """The messages of a log; what it says itself, and files that were sent, are left out."""
    day, name, said = "", "", [""]
    for line in lines:
        if (begun := _MESSAGE.match(line)) is None:
            said.append(line)
            continue
        yield from _sent(day, name, said)
        day, (name, colon, text) = begun[1], begun[2].partition(": ")
        name, said = (name, [text]) if colon else ("", [])
    yield from _sent(day, name, said)


def _sent(day: str, name: str, lines: list[str]) -> Iterator[Message]:
    text = "\n".join(lines).strip()
    if name and text and not _ATTACHED.fullmatch(text):
        yield day, name, text


def _branch(row: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The turns from the root of a tree of messages to the one that was shown last."""
    nodes, found = row[_NODES], []
    at = row.get("current_node") or next(reversed(nodes), None)
    for _ in range(len(nodes)):  # no longer than the tree, even if it goes round in a circle
        node = nodes.get(at) or {}
        message, at = node.get("message") or {}, node.get("parent")
        role = (message.get("author") or {}).get("role")
        if role in ("user", "assistant"):
            found.append({"role": role, "content": (message.get("content") or {}).get("parts", "")})
    return found[::-1]
