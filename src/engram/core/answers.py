"""Kinds of answers: the one thing that a task says of its output, and that everything after training asks.

What is fitted after training, and what a run keeps of its answers, lies in `engram/api/delivery/`, one file a kind;
the module that is delivered of each in `engram/models/`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeVar

Entry = TypeVar("Entry")


class Answers:
    """Whatever the network gives, delivered as it is: the kind of a task that says nothing else.

    calibration: how answers are made to mean what they say: "softmax" or "sigmoid" of logits, "conformal" for numbers,
    which get intervals; None where nothing is calibrated. What is calibrated knows an unfamiliar input, and a run keeps
    each such answer. refits: whether a floor that is delivered may take long to fit, and learns from validation rows
    too once nothing is left to choose. written: whether an answer is a text, which takes much longer than a step.
    sampling: the options of writing (a dataclass) where the network writes on from a prompt, else None. context: tokens
    that it sees at once. converses: whether it replies in conversations. asked: the command by which a run is asked.
    """

    calibration: str | None = None
    refits: bool = False
    written: bool = False
    sampling: type | None = None
    context: int = 0
    converses: bool = False
    asked: str = "predict RUN ITEMS"

    @property
    def are_logits(self) -> bool:
        """Whether answers are classes, of which the output is the logits (B, C)."""
        return self.calibration in ("softmax", "sigmoid")

    def among(self, entries: Mapping[type[Answers], Entry]) -> Entry:
        """Return the entry of this kind, or of the nearest kind that it is one of."""
        return next(entries[kind] for kind in type(self).__mro__ if kind in entries)


class Labels(Answers):
    """One label out of several: logits (B, C)."""

    calibration, refits = "softmax", True


class Tags(Labels):
    """Any number of labels: a logit for each (B, C)."""

    calibration = "sigmoid"


class Numbers(Answers):
    """A number (B, 1), perhaps with how far off the network thinks it is (B, 2)."""

    calibration, refits = "conformal", True


class Forecasts(Answers):
    """Steps ahead (B, H, C, A), of each the expected value first, then quantiles."""

    refits, asked = True, "predict RUN"


class Rankings(Answers):
    """Scores of all items (B, I), of which the order alone counts."""

    asked = "recommend RUN --user USER"


class Texts(Answers):
    """Ids of a text that is searched for (B, T)."""

    written = True


@dataclass(frozen=True)
class Tokens(Answers):
    """How surprising each token of a text is (B, T), by a network that writes on from a prompt as well."""

    sampling: type
    context: int = 256
    converses: bool = False

    @property
    def asked(self) -> str:  # type: ignore[override]
        """A conversation is held, anything else is written on from a prompt."""
        return "chat RUN" if self.converses else "generate RUN --prompt TEXT"
