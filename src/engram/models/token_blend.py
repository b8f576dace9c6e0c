"""What is delivered of a model of tokens: the network, and a floor that counts where it knows a context well.

A network learns how a text is made, counts remember what stood in it: each token's probability is a weighted mean of
the two, whose weights depend on what the floor knows of the context (Jelinek and Mercer 1980, "Interpolated estimation
of Markov source parameters from sparse data").

Shapes: B rows, T positions, V ids of the vocabulary, K kinds of what the floor knows of a context.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import torch
from torch import Tensor, nn


@dataclass
class Remembered:
    """What the network keeps of the tokens that were read, and the tokens themselves, for the floor."""

    network: Any
    ids: list[list[int]]


class TokenBlend(nn.Module):
    """A network and a floor, as one module that is used like the network alone.

    floor: knows what probabilities follow some ids, and of which kind what it knows is (`following`, `judged`).
    name: the floor's. kinds: K. What is said is the logarithm of probabilities, which are logits too.
    """

    share: Tensor

    def __init__(self, network: nn.Module, floor: nn.Module, *, name: str, kinds: int) -> None:
        super().__init__()
        self.network, self.floor, self.name = network, floor, name
        self.register_buffer("share", torch.ones(kinds))

    def record(self) -> dict[str, Any]:
        """What run.json says of it: what builds it again around its network."""
        return {"floor": self.name, "kinds": len(self.share)}

    @classmethod
    def rebuilt(cls, record: Mapping[str, Any], network: nn.Module, floor: Callable[[str], nn.Module]) -> Self:
        """Build around a network what `record` says, its shares unfilled. floor: makes one by its name."""
        return cls(network, floor(record["floor"]), name=record["floor"], kinds=int(record["kinds"]))

    def alone(self) -> nn.Module:
        """Return the network."""
        return self.network

    def forward(self, text_BT: Tensor, caches: Remembered | None = None) -> Tensor:
        """Ids -> log-probabilities (B, T, V) of the next id. With caches, `text_BT` goes on where they end."""
        before = caches.ids if caches else [[] for _ in text_BT]
        logits_BTV = self._logits(text_BT, caches)
        counted_BTV, kind_BT = self._followed(before, text_BT.tolist(), logits_BTV)
        share_BT1 = self.share[kind_BT][..., None]
        return (share_BT1 * logits_BTV.float().softmax(-1) + (1 - share_BT1) * counted_BTV).log()

    def _logits(self, text_BT: Tensor, caches: Remembered | None) -> Tensor:
        """The network's; one that keeps nothing reads again what was before."""
        if caches is None:
            logits_BTV: Tensor = self.network(text_BT)
        elif caches.network is not None:
            logits_BTV = self.network(text_BT, caches.network)
        else:
            before_BT = text_BT.new_tensor(caches.ids).view(len(text_BT), -1)
            logits_BTV = self.network(torch.cat([before_BT, text_BT], 1))[:, -text_BT.shape[1] :]
        return logits_BTV

    def _followed(self, before: Sequence[list[int]], rows: Sequence[list[int]], like: Tensor) -> tuple[Tensor, Tensor]:
        """What the floor says after each token; the tokens are added to those before."""
        counted_BTV, kind_BT = torch.zeros(like.shape), torch.zeros(like.shape[:2], dtype=torch.long)
        for row, (seen, ids) in enumerate(zip(before, rows, strict=True)):
            for place, token in enumerate(ids):
                seen.append(token)
                said, kind_BT[row, place] = self.floor.following(seen)  # type: ignore[operator]
                counted_BTV[row, place] = torch.from_numpy(said)
        return counted_BTV.to(like.device), kind_BT.to(like.device)

    def caches(self, rows: int = 1) -> Remembered:
        """Room for what is read."""
        make: Any = getattr(self.network, "caches", None)
        return Remembered(make(rows) if make else None, [[] for _ in range(rows)])

    def surprise(self, nats_BT: Tensor, text_BT: Tensor) -> Tensor:
        """Return the nats (B, T) of every token but the first of texts (B, T + 1), given the network's own."""
        counted_BT, kind_BT = self.floor.judged(text_BT)  # type: ignore[operator]
        return blended(nats_BT, counted_BT, self.share[kind_BT])


def blended(network: Tensor, floor: Tensor, share: Tensor) -> Tensor:
    """Return the nats of tokens, from those by network and floor and the network's share."""
    return -((-network.double()).exp() * share + (-floor.double()).exp() * (1 - share)).log().float()
