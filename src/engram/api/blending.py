"""Network and floor of a model of tokens share what is delivered: how much each counts, by what the floor knows.

The shares are those of the least loss on validation rows, found by expectation maximisation.

Shapes: N tokens, K kinds of what the floor knows of a context, B rows, T tokens of a row.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from engram.api.competing import Choice
from engram.core.task import Batch, Task
from engram.data.examples import Examples
from engram.evaluate.evaluation import Outputs
from engram.models.token_blend import TokenBlend, blended
from engram.predict.answering import BATCH_SIZE, answer

MOST_ROWS = 256
"""By which the shares are found: about 30,000 tokens, for some thirty numbers."""

ROUNDS = 50
IMAGINED = 100.0
"""Tokens of each kind that are imagined to be shared as all are together, so that a few do not decide."""

WORTH = 0.01
"""Nats a token by which the blend has to be better than the network: the price of what it adds."""


@dataclass(frozen=True)
class Answers:
    """What blend, network and floor said of the same rows."""

    blend: Outputs
    network: Outputs
    floor: Outputs


def choose(
    task: Task, network: nn.Module, name: str, floor: Any, examples: Examples, *, precision: str
) -> tuple[TokenBlend, Choice]:
    """Return the blend, and whether it or the network alone is to be delivered, by validation rows."""
    blend = TokenBlend(network, floor, name=name, kinds=floor.kinds)
    rows = examples.splits["val"]
    some = rows[np.linspace(0, len(rows) - 1, min(len(rows), MOST_ROWS)).astype(np.int64)]
    parts = []
    for batch, network_BT, floor_BT, kind_BT in _asked(task, blend, examples, some, precision=precision):
        scored_BT = batch.scored.cpu()
        parts.append((network_BT[scored_BT], floor_BT[scored_BT], kind_BT[scored_BT]))
    network_N, floor_N, kind_N = (torch.cat(some) for some in zip(*parts, strict=True))
    share_K = shares(network_N, floor_N, kind_N, kinds=floor.kinds)
    blend.share.copy_(share_K)
    gain = float((network_N - blended(network_N, floor_N, share_K[kind_N])).mean())
    chosen = "blend" if gain >= WORTH else "network"
    share = float(share_K[kind_N].mean()) if chosen == "blend" else 1.0
    return blend.eval(), Choice(chosen, name, share, (1.0, 1.0))


def shares(network_N: Tensor, floor_N: Tensor, kind_N: Tensor, *, kinds: int) -> Tensor:
    """Return the network's shares (K,) with the least loss, given the nats of tokens by network and floor."""
    likelier_N = (network_N - floor_N).double().clamp(-50, 50).exp()  # how many times the floor expected a token more
    number_K = torch.bincount(kind_N, minlength=kinds)
    share_K = torch.full((kinds,), 0.5, dtype=torch.float64)
    for _ in range(ROUNDS):
        share_N = share_K[kind_N]
        network_took_N = share_N / (share_N + (1 - share_N) * likelier_N)
        taken_K = torch.bincount(kind_N, network_took_N, minlength=kinds)
        share_K = (taken_K + IMAGINED * network_took_N.mean()) / (number_K + IMAGINED)
    return share_K.float()


def collect(task: Task, blend: TokenBlend, examples: Examples, rows: np.ndarray, *, precision: str) -> Answers:
    """Let all three answer for some rows, in their order, asking network and floor once."""
    kept: list[list[dict[str, dict[str, np.ndarray]]]] = [[], [], []]
    for batch, network_BT, floor_BT, kind_BT in _asked(task, blend, examples, rows, precision=precision):
        blend_BT = blended(network_BT, floor_BT, blend.share.cpu()[kind_BT])
        for part, nats_BT in zip(kept, (blend_BT, network_BT, floor_BT), strict=True):
            part.append({metric.name: metric.update(nats_BT, batch) for metric in task.metrics})
    return Answers(*(Outputs(np.asarray(rows), statistics=_joined(part)) for part in kept))


def _asked(
    task: Task, blend: TokenBlend, examples: Examples, rows: np.ndarray, *, precision: str
) -> Iterator[tuple[Batch, Tensor, Tensor, Tensor]]:
    """Yield batches with the nats (B, T) of their tokens by network and floor, and of which kind each context is."""
    for batch in examples.batches(np.asarray(rows), size=BATCH_SIZE):
        nats_BT, _ = answer(task, blend.network, batch, precision=precision)
        yield batch, nats_BT, *blend.floor.judged(batch.text.cpu())  # type: ignore[operator]


def _joined(parts: list[dict[str, dict[str, np.ndarray]]]) -> dict[str, dict[str, np.ndarray]]:
    return {
        metric: {name: np.concatenate([part[metric][name] for part in parts]) for name in parts[0][metric]}
        for metric in parts[0]
    }
