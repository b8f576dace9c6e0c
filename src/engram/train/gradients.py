"""The sum of all processes' gradients."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn

from engram.train.distributed import Team, buckets


class Gradients:
    """The gradients of some parameters, in a team.

    They travel when the backward pass is over: on CPUs, sending those of the last layers meanwhile gained nothing
    (LOG.md, 2026-11-25).
    """

    def __init__(self, parameters: Sequence[nn.Parameter], team: Team) -> None:
        self.team = team
        self.buckets = [Bucket(alike) for alike in buckets(parameters)] if team.size > 1 else []

    def sums(self, *numbers: float) -> list[float]:
        """Give all parameters the sums of their gradients over all processes, and return such sums of numbers.

        What has no gradient in any process keeps none.
        """
        if self.team.size == 1:
            return list(numbers)
        had = [parameter.grad is not None for bucket in self.buckets for parameter in bucket.parameters]
        travelling = [self.team.adding(bucket.filled()) for bucket in self.buckets]
        sums = self.team.total(*numbers, *had)
        for wait in travelling:
            wait()
        some = iter(sums[len(numbers) :])
        for bucket in self.buckets:
            bucket.give_back(some)
        return sums[: len(numbers)]


class Bucket:
    """Gradients that travel together, side by side in one flat tensor, each laid out in memory as its parameter."""

    def __init__(self, parameters: Sequence[nn.Parameter]) -> None:
        self.parameters = parameters
        sizes = [parameter.numel() for parameter in parameters]
        self.flat = torch.zeros(sum(sizes), dtype=parameters[0].dtype, device=parameters[0].device)
        self.places = [
            place.as_strided(parameter.shape, torch.empty_like(parameter).stride())
            for parameter, place in zip(parameters, self.flat.split(sizes), strict=True)
        ]

    @torch.no_grad()
    def filled(self) -> Tensor:
        """The flat tensor with the gradients that there are, and zeros for those that there are not."""
        for parameter, place in zip(self.parameters, self.places, strict=True):
            if parameter.grad is None:
                place.zero_()
            else:
                place.copy_(parameter.grad)
        return self.flat

    def give_back(self, some: Iterator[float]) -> None:
        """Let the sums be the parameters' gradients, where any process had `some`."""
        for parameter, place in zip(self.parameters, self.places, strict=True):
            parameter.grad = place if next(some) else None
