"""Words as vectors: which ones the network holds alike, and which ones excite a unit of its last hidden layer.

Shapes: W words, D width.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from engram.core.spelling import word_spans
from engram.explain.activations import run
from engram.predict.answering import hidden_of, moved
from engram.predict.predictor import Predictor


def frequent(texts: Iterable[str], *, most: int, least_times: int = 3) -> list[str]:
    """Return words of letters alone, in small letters, that stand in several texts, the most frequent first."""
    counted = Counter(
        word for text in texts for word in {text[a:b].casefold() for a, b in word_spans(text)} if word.isalpha()
    )
    return [word for word, times in counted.most_common(most) if times >= least_times]


def embedded(predictor: Predictor, words: Sequence[str]) -> np.ndarray | None:
    """Return the vectors (W, D) that words enter the network as; None where it embeds none."""
    module = _first_embedding(predictor.network)
    if module is None or not words:
        return None
    found: list[Tensor] = []

    def note(_: nn.Module, __: Any, output: Any) -> None:
        output = output[0] if isinstance(output, tuple) else output
        found.append(output.detach()[0].flatten(0, -2).float().cpu())

    handle = module.register_forward_hook(note)
    vectors = []
    try:
        for word in words:
            batch = moved(predictor.encode([word]), predictor.module)
            found.clear()
            run(predictor, batch)
            number = next(iter(tensor.shape[1] for tensor in vars(batch).values() if isinstance(tensor, Tensor)))
            # Where each id has a vector, the first is that of the beginning.
            vectors.append(np.asarray(found[0][1 if len(found[0]) == number else 0 :].mean(0)))
    finally:
        handle.remove()
    return np.stack(vectors)


def _first_embedding(network: nn.Module) -> nn.Module | None:
    """The outermost part of the network that embeds: an embedding, or what is made of several."""
    for _, module in list(network.named_modules())[1:]:
        if any(isinstance(part, nn.Embedding) for part in module.modules()):
            return module
    return None


def neighbours(vector_WD: np.ndarray, *, number: int = 5) -> list[list[tuple[int, float]]]:
    """Return for each word the most similar others with their cosine, around the mean of all."""
    centred_WD = vector_WD - vector_WD.mean(0)
    unit_WD = centred_WD / np.maximum(np.linalg.norm(centred_WD, axis=1, keepdims=True), 1e-12)
    likeness_WW = unit_WD @ unit_WD.T
    np.fill_diagonal(likeness_WW, -np.inf)
    nearest_WN = np.argsort(-likeness_WW, axis=1, kind="stable")[:, :number]
    return [[(int(at), float(row[at])) for at in some] for row, some in zip(likeness_WW, nearest_WN, strict=True)]


def excited(predictor: Predictor, words: Sequence[str]) -> np.ndarray | None:
    """Return what the last hidden layer makes of each word alone (W, D); None where none is watched."""
    found = [hidden_of(predictor.task, predictor.module, predictor.encode([word])) for word in words]
    known = [hidden for hidden in found if hidden is not None]
    return np.asarray(torch.cat(known)) if known else None
