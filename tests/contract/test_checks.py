"""The checks see what they are for: parts that break their contract are refused, with the promise they break."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from engram.core.errors import DataError
from engram.core.evidence import Evidence
from engram.features.category import Category
from engram.features.feature import Feature
from engram.testing import check_feature, check_model

WORDS = ["pear", "plum", "pear", "fig", "fig", "plum"]


class Net(nn.Module):
    """A network that keeps its contract."""

    def __init__(self, input_shape: tuple[int, int, int], num_classes: int) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(input_shape[0], 8, 3, padding=1)
        self.head = nn.Linear(8, num_classes)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        return self.head(self.convolution(x_BCHW).relu().mean((2, 3)))


class Unused(Net):
    def __init__(self, **arguments: Any) -> None:
        super().__init__(**arguments)
        self.spare = nn.Parameter(torch.ones(3))


class LooksAside(Net):
    def forward(self, x_BCHW: Tensor) -> Tensor:
        return super().forward(x_BCHW - x_BCHW.mean(0, keepdim=True))


class Restless(Net):
    def forward(self, x_BCHW: Tensor) -> Tensor:
        return super().forward(nn.functional.dropout(x_BCHW, training=True))


class Forgetful(Net):
    def __init__(self, **arguments: Any) -> None:
        super().__init__(**arguments)
        self.shift = torch.randn(())

    def forward(self, x_BCHW: Tensor) -> Tensor:
        return super().forward(x_BCHW) + self.shift


def test_a_sound_network_passes() -> None:
    check_model(Net)


@pytest.mark.parametrize(
    ("network", "promise"),
    [
        (Unused, "no gradient reaches spare"),
        (LooksAside, "depends on what else is in the batch"),
        (Restless, "two answers"),
        (Forgetful, "saved and loaded weights answer otherwise"),
    ],
)
def test_a_broken_network_is_refused(network: type[Net], promise: str) -> None:
    with pytest.raises(AssertionError, match=promise):
        check_model(network, input_shapes=[(1, 16, 16)])


class Length(Feature):
    """The length of a text: a feature that keeps its contract."""

    @classmethod
    def matches(cls, column: Any) -> Evidence:
        return Evidence(0.5, "texts")

    def store(self, value: Any) -> dict[str, Any]:
        if not isinstance(value, str):
            raise DataError(f"expected a text; got {value!r}")
        return {"length": len(value)}

    def encode(self, gathered: dict[str, Any], views: Any = None) -> Tensor:
        return torch.tensor([float(length) for length in gathered["length"]])

    def decode(self, encoded: Tensor) -> list[str]:
        return ["x" * int(length) for length in encoded.tolist()]


class Relative(Length):
    def encode(self, gathered: dict[str, Any], views: Any = None) -> Tensor:
        lengths_B = super().encode(gathered)
        return lengths_B - lengths_B.min()


class Lossy(Length):
    def decode(self, encoded: Tensor) -> list[str]:
        return ["x" * (int(length) + 1) for length in encoded.tolist()]


class Amnesiac(Category):
    def state(self) -> tuple[dict[str, Any], dict[str, Any]]:
        return {"names": self.names[::-1]}, {}


def test_a_sound_feature_passes() -> None:
    check_feature(Length, WORDS, kind="text")


@pytest.mark.parametrize(
    ("feature", "promise"),
    [(Relative, "depends on the other rows"), (Lossy, "came back as"), (Amnesiac, "encodes differently|state changed")],
)
def test_a_broken_feature_is_refused(feature: type[Feature], promise: str) -> None:
    with pytest.raises(AssertionError, match=promise):
        check_feature(feature, WORDS, kind="text")
