"""Learning rate over the course of training: a short warm-up, then linear to zero (or to what is to be left).

Progress runs from 0 to 1 and reaches 1 exactly when training ends, whatever became of the first plan.
Linear to zero beats cosine and step schedules at every budget (Defazio et al. 2023, arXiv:2310.07831;
Bergsma et al. 2025, arXiv:2502.15938).
"""

from __future__ import annotations

from dataclasses import dataclass


def learning_rate_factor(progress: float, *, warmup: float, final: float = 0.0) -> float:
    """Return the factor (0 to 1) on the peak learning rate at a progress from 0 to 1. final: the factor at the end."""
    if progress < warmup:
        return max(progress, 0.0) / warmup
    return final + (1 - final) * max(0.0, (1 - progress) / (1 - warmup))


@dataclass
class Pace:
    """Where training stands: steps done, the share of the way that is (0 to 1), and the steps planned in all.

    When the plan for the number of steps changes, progress goes on from where it is, so that the learning
    rate has no jump and still ends at zero.
    """

    steps: int
    step: int = 0
    progress: float = 0.0

    def advance(self) -> None:
        """Count one step."""
        self.progress += (1 - self.progress) / max(1, self.steps - self.step)
        self.step += 1

    @property
    def finished(self) -> bool:
        """Whether all planned steps are done."""
        return self.step >= self.steps
