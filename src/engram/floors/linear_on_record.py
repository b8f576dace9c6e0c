"""The floor that adds up what each column says: logistic or ridge regression on numbers and one-hot categories.

Shapes: B examples, N numbers, D features, C outputs.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from engram.floors._gathering import gathered
from engram.floors._logistic import fit_logistic
from engram.floors._ridge import fit_ridge
from engram.floors.floor import Batches, Floor

MOST_FEATURES = 1024
"""Categories with many names share places, so that there are about so many at most."""

MOST_VALUES = 60_000 * MOST_FEATURES  # 240 MiB of float32 at most, however large the data


class LinearOnRecord(Floor):
    """Logistic regression, or ridge regression where labels are numbers.

    kind: of the role `label`: "softmax" for class numbers (B,), "sigmoid" for yes or no (B, C), "number" for numbers
    (B,). Reads the role `record` beside it. The strength of the ridge is chosen on rows held out.
    """

    deliverable = True

    def __init__(self, *, kind: str = "softmax") -> None:
        self.kind = kind

    def build(self, features: Any) -> nn.Module:
        """Return the module with all weights zero."""
        outputs = 1 if self.kind == "number" else features.label.size
        return RecordLinear(features.record.num_numbers, features.record.cardinalities, outputs)

    def fit(self, batches: Batches, features: Any, *, seconds: float) -> nn.Module:
        """Fit in one pass over the batches, reading for at most half of `seconds`."""
        return self._fit(batches, features, seconds=seconds)

    def refit(self, fitted: nn.Module, batches: Batches, features: Any, *, seconds: float) -> nn.Module:
        """Fit with the ridge that was chosen before."""
        assert isinstance(fitted, RecordLinear)
        return self._fit(batches, features, seconds=seconds, strength=float(fitted.ridge))

    def _fit(self, batches: Batches, features: Any, *, seconds: float, strength: float | None = None) -> nn.Module:
        began, module = time.monotonic(), self.build(features)
        assert isinstance(module, RecordLinear)
        parts, label = gathered(batches, "record", take=module.spread, room=MOST_VALUES, until=began + seconds / 2)
        x_ND = torch.cat(parts)
        del parts
        if self.kind == "number":
            fitted = fit_ridge(x_ND, label, strength=strength)
        else:
            size = features.label.size
            fitted = fit_logistic(x_ND, label, num_classes=size, until=began + seconds, strength=strength)
        module.load_state_dict({**module.state_dict(), **fitted, "weight": fitted["weight"].T})
        return module


class RecordLinear(nn.Module):
    """Add up weights: of each number, of each that is missing, and of the place of each category.

    ridge: that it was fitted with.
    """

    begin: Tensor
    size: Tensor
    ridge: Tensor

    def __init__(self, num_numbers: int, cardinalities: Sequence[int], outputs: int) -> None:
        super().__init__()
        self.num_numbers = num_numbers
        most = max(2, (MOST_FEATURES - 2 * num_numbers) // max(1, len(cardinalities)))
        sizes = [min(number, most) for number in cardinalities]
        begin = torch.tensor([2 * num_numbers, *sizes]).cumsum(0)
        self.register_buffer("begin", begin[:-1], persistent=False)
        self.register_buffer("size", torch.tensor(sizes, dtype=torch.int64), persistent=False)
        self.register_buffer("ridge", torch.zeros(()))
        self.weight = nn.Parameter(torch.zeros(int(begin[-1]), outputs))
        self.bias = nn.Parameter(torch.zeros(outputs))
        self.record = {
            "arguments": {"num_numbers": num_numbers, "cardinalities": list(cardinalities), "outputs": outputs}
        }

    def forward(self, record_BF: Tensor) -> Tensor:
        """Return logits, or numbers (B, C)."""
        number_BD, place_BC = self._parts(record_BF)
        named_BC = nn.functional.embedding(place_BC, self.weight).sum(1)
        return number_BD @ self.weight[: 2 * self.num_numbers] + named_BC + self.bias

    def _parts(self, record_BF: Tensor) -> tuple[Tensor, Tensor]:
        """Return numbers and which are missing (B, 2 N), and the places of categories."""
        number_BN, code_BC = record_BF[:, : self.num_numbers], record_BF[:, self.num_numbers :].long()
        place_BC = self.begin + torch.where(code_BC > 0, (code_BC - 1) % (self.size - 1).clamp(min=1) + 1, 0)
        return torch.cat([number_BN.nan_to_num(0.0), number_BN.isnan().float()], 1), place_BC

    def spread(self, record_BF: Tensor) -> Tensor:
        """Return features (B, D) of which the answer is a linear function: categories as zeros and ones."""
        number_BD, place_BC = self._parts(record_BF)
        hot_BD = number_BD.new_zeros(len(record_BF), len(self.weight) - number_BD.shape[1])
        return torch.cat([number_BD, hot_BD.scatter_(1, place_BC - 2 * self.num_numbers, 1.0)], 1)
