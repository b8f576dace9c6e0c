"""`generate` and `chat`: let a run write on from a prompt, or talk with it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from engram.api.prediction import load
from engram.core import durable, events
from engram.core.errors import ConfigError
from engram.predict import generating
from engram.predict.generating import Writing
from engram.predict.predictor import Predictor
from engram.predict.writing import kept


def generate(run: Any, prompt: str = "", *, device: str | None = None, **options: Any) -> Writing:
    """Write on from a prompt. options: those of `engram.tasks._tokens.Sampling`, such as temperature=0.7.

    ConfigError for a run that does not write. What of the prompt cannot be read as it stands is told.
    """
    predictor = _opened(run, device)
    generating.check_writes(predictor)
    sampling = generating.sampling_of(predictor, options)
    _tell_strange(predictor, prompt)
    ids, context = generating.ids_of(predictor, prompt), predictor.task.answers.context
    if len(ids) > context:
        events.warn(
            f"The prompt has {len(ids) - 1:,} tokens, more than the {context} that the network sees at once: "
            f"its last {len(kept(ids, context))} are read."
        )
    return generating.continued(predictor, prompt, sampling)


def _opened(run: Any, device: str | None) -> Predictor:
    return run if isinstance(run, Predictor) else load(run, device=device)


def _tell_strange(predictor: Predictor, text: str) -> None:
    """Say what of a text the network has never seen."""
    if strange := generating.strange(predictor, text):
        shown = ", ".join(map(repr, strange[:5])) + (" and others" if len(strange) > 5 else "")
        events.warn(f"Training never saw {shown}; they are read as unknown.")


class Chat:
    """A conversation with a run: what was said, and what the run answers. History is kept as (role, text)."""

    def __init__(self, run: Any, *, device: str | None = None, **options: Any) -> None:
        self._predictor = _opened(run, device)
        generating.check_converses(self._predictor)
        self._sampling = generating.sampling_of(self._predictor, options)
        self.history: list[tuple[str, str]] = []
        self.forgotten = 0

    def say(self, text: str) -> str:
        """Say something; return the answer."""
        return "".join(self.stream(text))

    def stream(self, text: str) -> Iterator[str]:
        """Say something; yield the answer as it is written. Both are history once it has ended."""
        _tell_strange(self._predictor, text)
        said = [*self.history, ("user", text)]
        writing, dropped = generating.replied(self._predictor, said, self._sampling)
        if dropped > self.forgotten:
            events.note(
                f"The conversation is longer than the network sees at once: its first {dropped} turns are left out."
            )
            self.forgotten = dropped
        answer = ""
        try:
            for piece in writing:
                answer += piece
                yield piece
        finally:
            self.history = [*said, ("assistant", answer)]

    def reset(self) -> None:
        """Begin anew."""
        self.history, self.forgotten = [], 0

    def save(self, path: str) -> None:
        """Write the history as one line of JSONL, which `engram train` reads. The file must not exist yet."""
        if Path(path).exists():
            raise ConfigError(f"expected a new file to save to; {path} exists. Name another.")
        messages = [{"role": role, "content": text} for role, text in self.history]
        line = json.dumps({"messages": messages}, ensure_ascii=False) + "\n"
        durable.write_new(Path(path), line.encode())
