"""The floor that translates nothing: the source as it stands, which names and numbers survive.

Shapes: B examples, S source ids.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from engram.core.vocabulary import END, PADDING
from engram.floors.floor import Batches, Floor


class CopySource(Floor):
    """Answer with the source. Reads the role `source`: ids in a vocabulary that the target has too."""

    def build(self, features: Any) -> nn.Module:
        """Return the module; there is nothing to fit."""
        return Copying()

    def fit(self, batches: Batches, features: Any, *, seconds: float) -> nn.Module:
        """Nothing is learned."""
        return Copying()


class Copying(nn.Module):
    """Writes what it reads."""

    def write(self, source_BS: Tensor, **search: Any) -> tuple[Tensor, Tensor]:
        """Return the ids (B, S) without BEGIN, closed by END and padded, and no score (0) of any."""
        ids_BS = torch.nn.functional.pad(source_BS[:, 1:], (0, 1), value=PADDING)
        end_B = (ids_BS == PADDING).int().argmax(1)
        return ids_BS.scatter(1, end_B[:, None], END), torch.zeros(len(source_BS), device=source_BS.device)
