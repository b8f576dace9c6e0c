"""The encoder-decoder transformer for translation: one part reads the source, the other writes the target.

Both see one vocabulary, whose embedding is the head as well (Press and Wolf 2017, arXiv:1608.05859).

Shapes: B rows, S source tokens, T target tokens, D width, V ids, N hypotheses, H heads, K width of a head.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from engram.core.vocabulary import PADDING
from engram.models._beam_search import beam_search
from engram.models.layers.attend import linear
from engram.models.layers.dropout import Dropout
from engram.models.layers.masks import both, one_document
from engram.models.layers.transformer import Block, Cache, RMSNorm, Rotary, initialise

Memory = tuple[list[tuple[Tensor, Tensor]], Tensor]
"""What is known of the source: keys and values (B, H, S, K) for each layer that writes, and the mask of the source."""

SIZES: dict[str, dict[str, int]] = {
    "small": {"width": 192, "heads": 3, "encoder_layers": 3, "decoder_layers": 2},
    "medium": {"width": 256, "heads": 4, "encoder_layers": 4, "decoder_layers": 2},
    "large": {"width": 512, "heads": 8, "encoder_layers": 6, "decoder_layers": 3},
}
"""More layers read than write: reading is done once for all tokens, writing for each (Kasai et al. 2021,
arXiv:2006.10369)."""


class EncoderDecoder(nn.Module):
    """A network that says of each place in a target which ids may stand there.

    A row may hold several pairs of texts, each text begun by BEGIN: none sees another's. vocabulary: V. dropout: share
    of what each part adds that is left out in training.
    """

    packs = True
    """Rows may hold several examples: a batch need not be cut into pieces of similar length."""

    def __init__(
        self,
        *,
        vocabulary: int,
        width: int = 192,
        heads: int = 3,
        encoder_layers: int = 3,
        decoder_layers: int = 2,
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, width)
        self.encoder = nn.ModuleList(Block(width, heads=heads, dropout=dropout) for _ in range(encoder_layers))
        self.decoder = nn.ModuleList(
            Block(width, heads=heads, dropout=dropout, cross=True) for _ in range(decoder_layers)
        )
        self.rotary = Rotary(width // heads)
        self.norm, self.dropout = RMSNorm(), Dropout(dropout)
        initialise(self, layers=max(encoder_layers, decoder_layers))

    @property
    def recipe(self) -> dict[str, object]:
        """Numbers of the plan, chosen from experience with such networks; not measured against others."""
        batch = {"batch_size": 256} if self.embedding.embedding_dim >= SIZES["medium"]["width"] else {}
        return {**batch, "optimizer.head_learning_rate": 0.02}

    @property
    def head(self) -> nn.Module:
        """The last layer, which is the first one too."""
        return self.embedding

    def forward(self, source_BS: Tensor, target_BT: Tensor) -> Tensor:
        """Return logits (B, T, V) of what follows each place of targets that begin with BEGIN."""
        remembered, mask = self.read(source_BS)
        x_BTD = self._embedded(target_BT)
        rotation = self.rotary(target_BT.shape[1], dtype=x_BTD.dtype)
        own, mask = one_document(target_BT), both(mask, one_document(target_BT, source_BS))
        for block, memory in zip(self.decoder, remembered, strict=True):
            x_BTD = block(x_BTD, rotation, mask=own, causal=True, remembered=memory, memory_mask=mask)
        return self._logits(x_BTD)

    def read(self, source_BS: Tensor) -> Memory:
        """Read sources."""
        mask = (source_BS != PADDING)[:, None, None, :]
        x_BSD = self._embedded(source_BS)
        rotation = self.rotary(source_BS.shape[1], dtype=x_BSD.dtype)
        own = both(mask, one_document(source_BS))
        for block in self.encoder:
            x_BSD = block(x_BSD, rotation, mask=own)
        x_BSD = self.norm(x_BSD)
        return [block.cross.remember(x_BSD) for block in self.decoder], mask  # type: ignore[union-attr, operator]

    def write(self, source_BS: Tensor, *, beam: int, length_penalty: float, longest_B: Tensor) -> tuple[Tensor, Tensor]:
        """Translate: return ids (B, T), closed by END and padded, and their scores (B,); see `beam_search`."""
        return beam_search(_Writing(self, source_BS), longest_B=longest_B, beam=beam, length_penalty=length_penalty)

    @torch.no_grad()
    def attention(self, source_BS: Tensor, target_BT: Tensor) -> Tensor:
        """Return where the last layer looks when it writes what follows each place (B, T, S), the mean over heads."""
        seen: list[Tensor] = []
        last: Any = self.decoder[-1].cross

        def look(layer: Any, given: tuple[Any, ...], named: dict[str, Any]) -> None:
            seen.append(layer.weights(*given, **named).mean(1))

        handle = last.register_forward_pre_hook(look, with_kwargs=True)
        try:
            self(source_BS, target_BT)
        finally:
            handle.remove()
        return seen[0]

    def _embedded(self, ids_BT: Tensor) -> Tensor:
        x_BTD = self.embedding(ids_BT)
        kind = ids_BT.device.type
        return self.dropout(x_BTD.to(torch.get_autocast_dtype(kind)) if torch.is_autocast_enabled(kind) else x_BTD)

    def _logits(self, x_BTD: Tensor) -> Tensor:
        return linear(self.norm(x_BTD) * self.embedding.embedding_dim**-0.5, self.embedding.weight)


class _Writing:
    """A network that writes token by token; see `engram.models._beam_search.Following`."""

    def __init__(self, network: EncoderDecoder, source_BS: Tensor) -> None:
        self.network = network
        self.remembered, self.mask = network.read(source_BS)
        (rows, heads, _, head), kind = self.remembered[0][0].shape, self.remembered[0][0].dtype
        self.caches = [Cache(rows, heads, 0, head, device=source_BS.device, dtype=kind) for _ in network.decoder]
        self.length = 0

    def __call__(self, token_N: Tensor) -> Tensor:
        """Read one token of each hypothesis."""
        x_N1D = self.network._embedded(token_N[:, None])
        rotation = self.network.rotary(1, start=self.length, dtype=x_N1D.dtype)
        self.length += 1
        for block, cache, memory in zip(self.network.decoder, self.caches, self.remembered, strict=True):
            x_N1D = block(x_N1D, rotation, cache=cache, remembered=memory, memory_mask=self.mask)
        return self.network._logits(x_N1D)[:, 0]

    def take(self, hypothesis_N: Tensor) -> None:
        """Go on with these."""
        for cache in self.caches:
            cache.take(hypothesis_N)
        self.remembered = [(keys[hypothesis_N], values[hypothesis_N]) for keys, values in self.remembered]
        self.mask = self.mask[hypothesis_N]
