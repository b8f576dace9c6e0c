"""A run that writes: prompts or conversations in, text as it is being written out."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from engram.core.errors import ConfigError, unknown
from engram.core.vocabulary import BEGIN, UNKNOWN
from engram.predict.predictor import Predictor
from engram.predict.writing import Stream, Writer


class Writing:
    """Text that is being written: iterate over it as it comes, or take it whole with `str`.

    ended: "end" where the model came to an end by itself, "stop" at a text at which to stop, "length" at the most
    tokens. tokens: how many were written; read: how many were given.
    """

    def __init__(self, writer: Writer, ids: list[int], stream: Stream, sampling: Any) -> None:
        self.ended, self.tokens, self.read, self._written = "", 0, len(ids), ""
        self._pieces = self._write(writer, ids, stream, sampling)

    def __iter__(self) -> Iterator[str]:
        return self._pieces

    def __next__(self) -> str:
        return next(self._pieces)

    def __str__(self) -> str:
        for _ in self._pieces:
            pass
        return self._written

    def _write(self, writer: Writer, ids: list[int], stream: Stream, sampling: Any) -> Iterator[str]:
        for token in writer.write(ids, sampling):
            self.tokens += 1
            piece = stream.add(token)
            self._written += piece
            yield piece
            if stream.ended:
                break
        self.ended = stream.ended or ("length" if self.tokens == sampling.max_tokens else "end")
        if piece := stream.rest():
            self._written += piece
            yield piece


def check_writes(predictor: Predictor) -> None:
    """ConfigError for a run that does not write."""
    if predictor.task.answers.sampling is None:
        raise ConfigError(
            f"expected a run that writes text; {predictor.run} is one of {predictor.task.name}. Ask it with: "
            f"engram predict {predictor.run} ITEMS"
        )


def check_converses(predictor: Predictor) -> None:
    """ConfigError for a run that does not answer in conversations."""
    check_writes(predictor)
    if not predictor.task.answers.converses:
        raise ConfigError(
            f"expected a run that was trained on conversations; {predictor.run} is one of "
            f"{predictor.task.name}. Let it write with: engram generate {predictor.run} --prompt TEXT"
        )


def sampling_of(predictor: Predictor, options: Mapping[str, Any]) -> Any:
    """Return the options of writing; ConfigError for one that does not exist or cannot be."""
    kind = predictor.task.answers.sampling
    assert kind is not None, "asked for a run that writes"
    fields = {field.name for field in dataclasses.fields(kind)}
    for name in options:
        if name not in fields:
            raise unknown("option of writing", name, sorted(fields))
    stop = options.get("stop", ())
    sampling = kind(**{**options, "stop": (stop,) if isinstance(stop, str) else tuple(stop or ())})
    for name, least, most in (("temperature", 0, 100), ("top_k", 0, 2**31), ("max_tokens", 1, 2**31)):
        if not least <= getattr(sampling, name) <= most:
            raise ConfigError(f"expected {name} of {least} to {most}; got {getattr(sampling, name)}")
    if not 0 < sampling.top_p <= 1:
        raise ConfigError(f"expected top_p above 0 and up to 1; got {sampling.top_p}")
    if sampling.seed is not None and not -(2**63) <= sampling.seed < 2**63:
        raise ConfigError(f"expected a seed of 64 bits; got {sampling.seed}")
    return sampling


def continued(predictor: Predictor, prompt: str, sampling: Any) -> Writing:
    """Write on from a prompt; of one that is longer than the network sees at once its end is read."""
    tokenizer = predictor.by_role.text.tokenizer
    ids = ids_of(predictor, prompt)
    writer = Writer(predictor.module, predictor.task.answers.context, tokenizer.size)
    return Writing(writer, ids, Stream(tokenizer, ids, sampling.stop), sampling)


def ids_of(predictor: Predictor, prompt: str) -> list[int]:
    """How a prompt is read."""
    return [BEGIN, *(map(int, _encoded(predictor, prompt)) if prompt else ())]


def replied(predictor: Predictor, turns: Sequence[tuple[str, str]], sampling: Any) -> tuple[Writing, int]:
    """Answer as the assistant after turns (role, text). Returns (the answer, how many of the first are not read)."""
    feature, context = predictor.by_role.text, predictor.task.answers.context
    ids, dropped = feature.prompt(turns, most=context - feature.least_reply)
    writer = Writer(predictor.module, context, feature.tokenizer.size)
    return Writing(writer, ids, Stream(feature.tokenizer, (), sampling.stop), sampling), dropped


def strange(predictor: Predictor, text: str) -> list[str]:
    """The characters of a text that training never saw, which are read as unknown."""
    if UNKNOWN not in _encoded(predictor, text):
        return []
    return [character for character in dict.fromkeys(text) if UNKNOWN in _encoded(predictor, character)]


def _encoded(predictor: Predictor, text: str) -> Any:
    utf8 = np.frombuffer(text.encode("utf-8", "replace"), np.uint8)
    return predictor.by_role.text.tokenizer.encode([utf8])[0]
