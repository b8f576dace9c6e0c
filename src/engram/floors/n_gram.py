"""The floor of language models: what followed the last few tokens in training.

Interpolated Kneser-Ney smoothing with three discounts (Chen and Goodman 1998, TR-10-98): short sequences count in how
many different longer ones they were seen, so that a word that only ever follows one other is not taken for a common
one.

Shapes: B windows, T + 1 tokens of each, V ids of the vocabulary, K kinds of what is known of a context.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from engram.core.vocabulary import PADDING
from engram.floors.floor import Batches, Floor

LONGEST = 6
"""Tokens of the longest sequences that are counted; fewer where so many ids do not fit into one number."""

LEAST_DISCOUNT = 0.05
"""Taken from every count, so that nothing is impossible however few or uniform the counts are."""

MOST_TOKENS = 5_000_000
"""Counting more than these takes longer than a floor may."""

UNSURE = (0.05, 0.15, 0.4)
"""Shares that the longest known context leaves for shorter ones: below the first it is surest of what follows."""


class NGram(Floor):
    """Reads the role `text`: windows of ids (B, T + 1), of which each is predicted from those before it."""

    deliverable: ClassVar = True

    def build(self, features: Any) -> nn.Module:
        """Return the module that has counted nothing: all tokens are equally likely."""
        return Counted(features.text.size)

    def fit(self, batches: Batches, features: Any, *, seconds: float) -> nn.Module:
        """Count training windows, as many as there is memory for, whatever `seconds` says."""
        module, windows, left = Counted(features.text.size), [], MOST_TOKENS
        for batch in batches("text"):
            windows.append(batch.text.numpy())
            left -= batch.text.numel()
            if left <= 0:
                break
        module.count(np.concatenate(windows))
        return module


class Counted(nn.Module):
    """Probabilities by interpolated Kneser-Ney.

    Of every order there are four arrays: the sequences that were seen, each as one number in base `size`, with their
    discounted probabilities, and the contexts that were seen, with the weight that is left for shorter ones.
    """

    lengths_vary = True
    """What was counted decides how long its tensors are."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = size
        self.longest = min(LONGEST, int(62 / math.log2(size)))
        for order in range(1, self.longest + 1):
            for name, kind in (("gram", torch.int64), ("share", torch.float32)):
                self.register_buffer(f"{name}_{order}", torch.zeros(0, dtype=kind))
                self.register_buffer(f"{name}_before_{order}", torch.zeros(0, dtype=kind))

    def count(self, text_BT: np.ndarray) -> None:
        """Count windows of ids."""
        number = self.numbers(text_BT, self.longest)[:, self.longest - 1 :]
        grams, counts = np.unique(number[text_BT[:, self.longest - 1 :] != PADDING], return_counts=True)
        for order in range(self.longest, 0, -1):
            for name, values in zip(("gram", "share"), _estimated(grams, counts, self.size), strict=True):
                for suffix, array in zip(("", "_before"), values, strict=True):
                    setattr(self, f"{name}{suffix}_{order}", torch.from_numpy(array))
            grams, counts = np.unique(grams % self.size ** (order - 1), return_counts=True)

    def numbers(self, text_BT: np.ndarray, order: int) -> np.ndarray:
        """Return each place's last `order` tokens as one number; wrong for the first `order - 1` places."""
        number = np.zeros(text_BT.shape, np.int64)
        for back in range(min(order, text_BT.shape[1])):
            number[:, back:] += text_BT[:, : text_BT.shape[1] - back] * self.size**back
        return number

    @property
    def kinds(self) -> int:
        """K: of so many kinds is what is known of a context, by its length and by how sure it is of what follows."""
        return (self.longest + 1) * (len(UNSURE) + 1)

    def surprise(self, text_BT: Tensor) -> Tensor:
        """Return the nats (B, T) of every token but the first of each row (B, T + 1)."""
        return self.judged(text_BT)[0]

    def judged(self, text_BT: Tensor) -> tuple[Tensor, Tensor]:
        """Return the same nats (B, T), and of which kind what is known of each context is (B, T)."""
        text, probability = text_BT.cpu().numpy(), np.full(text_BT.shape, 1 / self.size)
        kind = np.zeros(text.shape, np.int64)
        for order in range(1, self.longest + 1):
            number = self.numbers(text, order)
            share = self._found("gram", order, number, missing=0.0)
            left = self._found("gram_before", order, number // self.size, missing=1.0)
            longer = share + left * probability
            probability[:, order - 1 :] = longer[:, order - 1 :]
            known = np.where(left < 1, self._kind(order, left), kind)
            kind[:, order - 1 :] = known[:, order - 1 :]
        nats, kind = -np.log(probability[:, 1:]), kind[:, 1:]
        return torch.from_numpy(nats).float().to(text_BT.device), torch.from_numpy(kind).to(text_BT.device)

    def following(self, ids: Sequence[int]) -> tuple[np.ndarray, int]:
        """Return the probabilities (V,) of what follows some ids, and of which kind what is known of them is."""
        probability, kind = np.full(self.size, 1 / self.size), 0
        for order in range(1, min(self.longest, len(ids) + 1) + 1):
            context = 0
            for token in ids[len(ids) - order + 1 :]:
                context = context * self.size + token
            known, left = self._counted("gram_before", order)
            place = int(np.searchsorted(known, context))
            if place == len(known) or known[place] != context:
                break  # longer ones were not seen either
            grams, shares = self._counted("gram", order)
            first, last = np.searchsorted(grams, (context * self.size, (context + 1) * self.size))
            probability *= left[place]
            probability[grams[first:last] - context * self.size] += shares[first:last]
            kind = int(self._kind(order, left[place]))
        return probability, kind

    def _kind(self, order: int, left: Any) -> Any:
        return order * (len(UNSURE) + 1) + np.searchsorted(UNSURE, left)

    def _counted(self, name: str, order: int) -> tuple[np.ndarray, np.ndarray]:
        shares = name.replace("gram", "share")
        return getattr(self, f"{name}_{order}").numpy(), getattr(self, f"{shares}_{order}").numpy()

    def _found(self, name: str, order: int, number: np.ndarray, *, missing: float) -> np.ndarray:
        known, shares = self._counted(name, order)
        if not len(known):
            return np.full(number.shape, missing)
        place = np.minimum(np.searchsorted(known, number), len(known) - 1)
        return np.where(known[place] == number, shares[place], missing)

    def _apply(self, *_: Any, **__: Any) -> Counted:
        """Stay on the CPU, where it is looked up, whatever moves the module that it is part of."""
        return self

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *rest: Any) -> None:
        """Take arrays of any length: what was counted decides it."""
        for name in dict(self.named_buffers()):
            if (found := state_dict.get(prefix + name)) is not None and found.ndim == 1:
                setattr(self, name, torch.zeros(len(found), dtype=getattr(self, name).dtype))
        super()._load_from_state_dict(state_dict, prefix, *rest)


def _estimated(
    grams: np.ndarray, counts: np.ndarray, size: int
) -> tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]:
    """Return (sequences, contexts) and (the sequences' discounted shares, what is left by the contexts)."""
    contexts, first = np.unique(grams // size, return_index=True)  # sequences are sorted, so contexts lie together
    total = np.add.reduceat(counts, first)
    discount = _discounts(counts)[np.minimum(counts, 3)]
    left = np.add.reduceat(discount, first) / total
    share = (counts - discount) / np.repeat(total, np.diff([*first, len(grams)]))
    return (grams, contexts), (share.astype(np.float32), left.astype(np.float32))


def _discounts(counts: np.ndarray) -> np.ndarray:
    """What is taken from sequences seen once, twice, and more often (at 1, 2, 3), for those that were not seen."""
    n1, n2, n3, n4 = (max(1, int((counts == seen).sum())) for seen in (1, 2, 3, 4))
    share = n1 / (n1 + 2 * n2)
    found = [0.0, 1 - 2 * share * n2 / n1, 2 - 3 * share * n3 / n2, 3 - 4 * share * n4 / n3]
    return np.clip(found, [0, *[LEAST_DISCOUNT] * 3], [0, 0.95, 1.9, 2.8])
