"""Your own network, data set and loss; the plan, checkpoints, checks, curves and report are engram's.

python examples/own_pytorch.py
"""

import math

import torch
from torch import Tensor, nn
from torch.utils.data import Dataset

import engram


class Waves(Dataset):
    """Noisy sine waves, new noise in every epoch, and the frequency of each."""

    def __len__(self) -> int:
        return 2000

    def __getitem__(self, number: int) -> tuple[Tensor, Tensor]:
        frequency = 1 + number % 40 / 10
        wave = torch.sin(2 * math.pi * frequency * torch.linspace(0, 1, 64)) + 0.1 * torch.randn(64)
        return wave, torch.tensor(frequency)


class Net(nn.Sequential):
    """64 samples -> one number."""

    def __init__(self) -> None:
        super().__init__(nn.Linear(64, 128), nn.SiLU(), nn.Linear(128, 128), nn.SiLU(), nn.Linear(128, 1))


def step(model: nn.Module, batch: tuple[Tensor, Tensor]) -> engram.Step:
    """The loss, summed over the batch, how many it is of, and the output, which metrics read."""
    wave, frequency = batch
    guess = model(wave).squeeze(1)
    return engram.Step((guess - frequency).square().sum(), weight=len(wave), output=guess)


def mean_error(guess: Tensor, batch: tuple[Tensor, Tensor]) -> Tensor:
    """How far off each answer is, in hertz."""
    return (guess - batch[1]).abs()


if __name__ == "__main__":
    trained = engram.train(Waves(), model=Net(), step=step, metrics=[mean_error], epochs=20)
    # Stopped? engram.train(Waves(), model=Net(), step=step, metrics=[mean_error], resume="runs/run")
    print(trained.metrics, trained.run)

    network = engram.load(trained.run, model=Net()).network  # yours, with what it learned
    print(network(Waves()[17][0]))
