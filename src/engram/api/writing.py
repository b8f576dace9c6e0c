"""`generate` and `chat`: let a run write on from a prompt, or talk with it."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from engram.api.prediction import load
from engram.core import durable, events
from engram.core.errors import ConfigError, unknown
from engram.core.vocabulary import BEGIN, UNKNOWN
from engram.predict.predictor import Predictor
from engram.predict.writing import Stream, Writer, kept


class Writing:
    """Text that is being written: iterate over it as it comes, or take it whole with `str`.

    ended: "end" where the model came to an end by itself, "stop" at a text at which to stop, "length" at the most
    tokens. tokens: how many were written.
    """

    def __init__(self, writer: Writer, ids: list[int], stream: Stream, sampling: Any) -> None:
        self.ended, self.tokens, self._written = "", 0, ""
        self._pieces = self._write(writer, ids, stream, sampling)

    def __iter__(self) -> Iterator[str]:
        return self._pieces

    def __str__(self) -> str:
        for _ in self._pieces:
            pass
        return self._written

    def _write(self, writer: Writer, ids: list[int], stream: Stream, sampling: Any) -> Iterator[str]:
        for token in writer.write(ids, sampling):
            self.tokens += 1
            if piece := stream.add(token):
                self._written += piece
                yield piece
            if stream.ended:
                break
        self.ended = stream.ended or ("length" if self.tokens == sampling.max_tokens else "end")
        if piece := stream.rest():
            self._written += piece
            yield piece


def generate(run: Any, prompt: str = "", *, device: str | None = None, **options: Any) -> Writing:
    """Write on from a prompt. options: those of `engram.tasks._tokens.Sampling`, such as temperature=0.7.

    ConfigError for a run that does not write. What of the prompt cannot be read as it stands is told.
    """
    predictor = _writer(run, device)
    sampling = sampling_of(predictor, options)
    tokenizer = predictor.by_role.text.tokenizer
    ids = [BEGIN, *map(int, tokenizer.encode([_utf8(prompt)])[0])] if prompt else [BEGIN]
    context = predictor.task.context
    _tell_unknown(prompt, ids, tokenizer)
    if len(ids) > context:
        events.warn(
            f"The prompt has {len(ids) - 1:,} tokens, more than the {context} that the network sees at once: "
            f"its last {len(kept(ids, context))} are read."
        )
    writer = Writer(predictor.module, context, tokenizer.size)
    return Writing(writer, ids, Stream(tokenizer, ids, sampling.stop), sampling)


def _writer(run: Any, device: str | None) -> Predictor:
    predictor = run if isinstance(run, Predictor) else load(run, device=device)
    if predictor.task.sampling is None:
        raise ConfigError(
            f"expected a run that writes text; {predictor.run} is one of {predictor.task.name}. Ask it with: "
            f"engram predict {predictor.run} ITEMS"
        )
    return predictor


def sampling_of(predictor: Predictor, options: dict[str, Any]) -> Any:
    """Return the options of writing; ConfigError for one that does not exist or cannot be."""
    kind = predictor.task.sampling
    assert kind is not None, "asked for a run that writes"
    fields = {field.name for field in dataclasses.fields(kind)}
    for name in options:
        if name not in fields:
            raise unknown("option of writing", name, sorted(fields))
    if isinstance(options.get("stop"), str):
        options["stop"] = (options["stop"],)
    sampling = kind(**options)
    if not 0 <= sampling.temperature < math.inf:
        raise ConfigError(f"expected a temperature of 0 or more; got {sampling.temperature}")
    if not 0 < sampling.top_p <= 1:
        raise ConfigError(f"expected top_p above 0 and up to 1; got {sampling.top_p}")
    if sampling.top_k < 0 or sampling.max_tokens < 1:
        raise ConfigError("expected top_k of 0 or more, and 1 token or more to write")
    return sampling


def _utf8(text: str) -> Any:
    import numpy as np

    return np.frombuffer(text.encode("utf-8", "replace"), np.uint8)


def _tell_unknown(prompt: str, ids: list[int], tokenizer: Any) -> None:
    """Say what of a prompt the network has never seen."""
    if UNKNOWN not in ids:
        return
    strange = [c for c in dict.fromkeys(prompt) if UNKNOWN in tokenizer.encode([_utf8(c)])[0]]
    shown = ", ".join(map(repr, strange[:5])) + (" and others" if len(strange) > 5 else "")
    events.warn(f"Training never saw {shown}; they are read as unknown.")


class Chat:
    """A conversation with a run: what was said, and what the run answers. History is kept as (role, text)."""

    def __init__(self, run: Any, *, device: str | None = None, **options: Any) -> None:
        self._predictor = _writer(run, device)
        if not self._predictor.task.converses:
            raise ConfigError(
                f"expected a run that was trained on conversations; {self._predictor.run} is one of "
                f"{self._predictor.task.name}. Let it write with: engram generate {self._predictor.run} --prompt TEXT"
            )
        self._sampling = sampling_of(self._predictor, options)
        self.history: list[tuple[str, str]] = []
        self.forgotten = 0

    def say(self, text: str) -> str:
        """Say something; return the answer."""
        return "".join(self.stream(text))

    def stream(self, text: str) -> Iterator[str]:
        """Say something; yield the answer as it is written. Both are history once it has ended."""
        turns = self._predictor.by_role.text
        _tell_unknown(text, [int(i) for i in turns.tokenizer.encode([_utf8(text)])[0]], turns.tokenizer)
        said = [*self.history, ("user", text)]
        ids, dropped = turns.prompt(said, most=self._predictor.task.context - turns.least_reply)
        if dropped > self.forgotten:
            events.note(
                f"The conversation is longer than the network sees at once: its first {dropped} turns are left out."
            )
            self.forgotten = dropped
        writer = Writer(self._predictor.module, self._predictor.task.context, turns.tokenizer.size)
        stream = Stream(turns.tokenizer, (), self._sampling.stop)
        writing, answer = Writing(writer, ids, stream, self._sampling), ""
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
