"""The parts of transformers: attention, by which positions read one another, and a network for each position.

Blocks are pre-norm: each part reads the normalised residual stream and adds to it. RMSNorm has no gain, since the
matrix after it can scale. Rotary positions are relative, so that it does not matter where in a row a document begins.

Shapes: B rows, T positions (S of what is attended to), D width, H heads, K width of a head.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from engram.models.layers.attend import attend, half_square, heads, linear, normalised
from engram.models.layers.dropout import Dropout


class RMSNorm(nn.Module):
    """Brings the last axis to a mean square of 1 (Zhang and Sennrich 2019, arXiv:1910.07467), without a gain."""

    def forward(self, x: Tensor) -> Tensor:
        """Any shape -> the same."""
        return normalised(x)


class Rotary(nn.Module):
    """Positions as rotations of queries and keys (Su et al. 2021, arXiv:2104.09864)."""

    frequency: Tensor

    def __init__(self, head: int, *, base: float = 10_000.0) -> None:
        super().__init__()
        frequency = base ** -torch.arange(0, 1, 2 / head)
        self.register_buffer("frequency", frequency, persistent=False)

    def forward(self, length: int, *, start: int = 0, dtype: torch.dtype = torch.float32) -> tuple[Tensor, Tensor]:
        """Return cosines and sines (T, 1, K) of positions `start` and after."""
        position_T = torch.arange(start, start + length, device=self.frequency.device)
        angle = torch.outer(position_T, self.frequency).repeat(1, 2)[:, None]
        sign = torch.ones_like(angle)
        sign[..., : angle.shape[-1] // 2] = -1
        return angle.cos().to(dtype), (sign * angle.sin()).to(dtype)


class Cache:
    """Keys and values of the positions that one attention has seen, so that each is computed once in generation."""

    def __init__(
        self,
        rows: int,
        heads: int,
        most: int,
        head: int,
        *,
        device: torch.device | None = None,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        self.keys = torch.zeros(rows, heads, most, head, device=device, dtype=dtype)
        self.values = torch.zeros_like(self.keys)
        self.length = 0

    def extend(self, key_BHTK: Tensor, value_BHTK: Tensor) -> tuple[Tensor, Tensor]:
        """Add positions; return keys and values of all."""
        end = self.length + key_BHTK.shape[2]
        if (lacking := end - self.keys.shape[2]) > 0:
            self.keys, self.values = (functional.pad(seen, (0, 0, 0, lacking)) for seen in (self.keys, self.values))
        self.keys[:, :, self.length : end] = key_BHTK
        self.values[:, :, self.length : end] = value_BHTK
        self.length = end
        return self.keys[:, :, :end].to(key_BHTK.dtype), self.values[:, :, :end].to(value_BHTK.dtype)

    def take(self, rows: Tensor) -> None:
        """Go on with some of the rows, in another order, or several times each (beam search)."""
        self.keys, self.values = self.keys[rows, :, : self.length], self.values[rows, :, : self.length]


class Past:
    """The same where they are handed in and out as tensors, as in exported graphs: each call makes longer ones."""

    def __init__(self, keys_BHSK: Tensor, values_BHSK: Tensor) -> None:
        self.keys, self.values = keys_BHSK, values_BHSK

    @property
    def length(self) -> int:
        """Positions seen."""
        return self.keys.shape[2]

    def extend(self, key_BHTK: Tensor, value_BHTK: Tensor) -> tuple[Tensor, Tensor]:
        """Add positions; return keys and values of all."""
        self.keys = torch.cat([self.keys, key_BHTK], 2)
        self.values = torch.cat([self.values, value_BHTK], 2)
        return self.keys, self.values


class Attention(nn.Module):
    """Attention of several heads; queries and keys are normalised (Henry et al. 2020, arXiv:2010.04245).

    Masks are True where a position may be looked at, and broadcast to (B, H, T, S).
    """

    def __init__(self, width: int, *, heads: int) -> None:
        super().__init__()
        assert width % heads == 0, "each head takes an equal share of the width"
        self.heads = heads
        self.query = nn.Linear(width, width, bias=False)
        self.key = nn.Linear(width, width, bias=False)
        self.value = nn.Linear(width, width, bias=False)
        self.out = nn.Linear(width, width, bias=False)

    def forward(
        self,
        x_BTD: Tensor,
        rotation: tuple[Tensor, Tensor],
        *,
        mask: Tensor | None = None,
        causal: bool = False,
        cache: Cache | Past | None = None,
    ) -> Tensor:
        """Positions look at one another; with a cache, at those before too. causal: at themselves and earlier ones."""
        product = _product(x_BTD, self.query, self.key, self.value, heads=self.heads)
        query, key, value = heads(product, rotation, turned=2)
        if cache is not None:
            key, value = cache.extend(key, value)
        return self._look(query, key, value, mask=mask, causal=causal)

    def at(self, x_BTD: Tensor, rotation: tuple[Tensor, Tensor], place_B: Tensor) -> Tensor:
        """Return what a causal `forward` gives for one place (B,) of each row alone (B, 1, D)."""
        key, value = heads(_product(x_BTD, self.key, self.value, heads=self.heads), rotation, turned=1)
        own = rotation[0][place_B][:, None], rotation[1][place_B][:, None]
        (query,) = heads(_product(_one(x_BTD, place_B), self.query, heads=self.heads), own, turned=1)
        earlier_BT = torch.arange(x_BTD.shape[1], device=x_BTD.device) <= place_B[:, None]
        return self._look(query, key, value, mask=earlier_BT[:, None, None], causal=False)

    def _look(self, query: Tensor, key: Tensor, value: Tensor, *, mask: Tensor | None, causal: bool) -> Tensor:
        found_BHTK = attend(query, key, value, mask=mask, causal=causal)
        return linear(found_BHTK.transpose(1, 2).flatten(2), self.out.weight)


class CrossAttention(Attention):
    """Attention to what another network has read, whose keys and values are computed once."""

    def remember(self, memory_BSD: Tensor) -> tuple[Tensor, Tensor]:
        """Return keys and values (B, H, S, K) of what is to be looked at."""
        key, value = heads(_product(memory_BSD, self.key, self.value, heads=self.heads), turned=1)
        return key, value

    def forward(  # type: ignore[override]
        self, x_BTD: Tensor, remembered: tuple[Tensor, Tensor], *, mask: Tensor | None = None
    ) -> Tensor:
        """Positions look at what is remembered."""
        return self._look(self._query(x_BTD), *remembered, mask=mask, causal=False)

    def weights(self, x_BTD: Tensor, remembered: tuple[Tensor, Tensor], *, mask: Tensor | None = None) -> Tensor:
        """Return how much each position looks at what is remembered (B, H, T, S)."""
        query, key = self._query(x_BTD), remembered[0]
        score = query @ key.transpose(2, 3) * key.shape[-1] ** -0.5
        return (score if mask is None else score.masked_fill(~mask, -torch.inf)).softmax(-1)

    def _query(self, x_BTD: Tensor) -> Tensor:
        (query,) = heads(_product(x_BTD, self.query, heads=self.heads), turned=1)
        return query


def _one(x_BTD: Tensor, place_B: Tensor) -> Tensor:
    """One place (B,) of each row: (B, 1, D)."""
    return x_BTD.gather(1, place_B[:, None, None].expand(-1, 1, x_BTD.shape[2]))


def _product(x_BTD: Tensor, *layers: nn.Linear, heads: int) -> Tensor:
    """Several linear layers of one input as one product (B, T, N, H, K): one large product is faster than three."""
    weight = torch.cat([layer.weight for layer in layers])
    return linear(x_BTD, weight).unflatten(-1, (len(layers), heads, -1))


class FeedForward(nn.Module):
    """The network of each position: four times as wide inside, ReLU² (So et al. 2021, arXiv:2109.08668)."""

    def __init__(self, width: int, *, inside: int | None = None) -> None:
        super().__init__()
        self.up = nn.Linear(width, inside or 4 * width, bias=False)
        self.down = nn.Linear(inside or 4 * width, width, bias=False)

    def forward(self, x_BTD: Tensor) -> Tensor:
        """(B, T, D) -> (B, T, D)."""
        return linear(half_square(linear(x_BTD, self.up.weight)), self.down.weight)


class Block(nn.Module):
    """One layer: attention, perhaps attention to a memory, and the network of each position."""

    def __init__(self, width: int, *, heads: int, dropout: float = 0.0, cross: bool = False) -> None:
        super().__init__()
        self.norm = RMSNorm()
        self.attention = Attention(width, heads=heads)
        self.cross = CrossAttention(width, heads=heads) if cross else None
        self.feed_forward = FeedForward(width)
        self.dropout = Dropout(dropout)

    def forward(
        self,
        x_BTD: Tensor,
        rotation: tuple[Tensor, Tensor],
        *,
        mask: Tensor | None = None,
        causal: bool = False,
        cache: Cache | Past | None = None,
        remembered: tuple[Tensor, Tensor] | None = None,
        memory_mask: Tensor | None = None,
    ) -> Tensor:
        """(B, T, D) -> (B, T, D); see `Attention` and `CrossAttention`."""
        found = self.attention(self.norm(x_BTD), rotation, mask=mask, causal=causal, cache=cache)
        x_BTD = self.dropout(found, onto=x_BTD)
        if self.cross is not None:
            assert remembered is not None, "a block with cross attention needs something to attend to"
            x_BTD = self.dropout(self.cross(self.norm(x_BTD), remembered, mask=memory_mask), onto=x_BTD)
        return self.dropout(self.feed_forward(self.norm(x_BTD)), onto=x_BTD)

    def at(self, x_BTD: Tensor, rotation: tuple[Tensor, Tensor], place_B: Tensor) -> Tensor:
        """Return what a causal `forward` gives for one place (B,) of each row alone (B, D): of a last layer, often all
        that is wanted.
        """
        x_B1D = self.dropout(self.attention.at(self.norm(x_BTD), rotation, place_B), onto=_one(x_BTD, place_B))
        return self.dropout(self.feed_forward(self.norm(x_B1D)), onto=x_B1D)[:, 0]


def initialise(network: nn.Module, *, layers: int) -> None:
    """Draw the weights of a transformer: embeddings of unit variance, matrices that keep that of what they read.

    What adds to the residual stream begins smaller, so that `layers` of it add up to about as much as one.
    """
    for name, module in network.named_modules():
        if isinstance(module, nn.Linear):
            adds = name.endswith((".out", ".down"))
            nn.init.normal_(module.weight, std=module.in_features**-0.5 * ((2 * layers) ** -0.5 if adds else 1.0))
        elif isinstance(module, nn.Embedding):
            nn.init.normal_(module.weight)
