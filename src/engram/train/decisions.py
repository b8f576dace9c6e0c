"""What is decided while a training runs, written down before it takes effect.

Another number of steps, a return to an earlier state, a smaller micro-batch: each is a line of `decisions.jsonl`,
flushed to disk and only then put in force, by the same road on which a resumed training comes upon it. A resumed
training therefore decides nothing anew that was decided before.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from engram.core.errors import RunError
from engram.core.rundir import DECISIONS, RunDirectory

SLOWER = 0.5
"""What a return to an earlier state leaves of the learning rates."""

Decision = dict[str, Any]


@dataclass
class Decisions:
    """Decisions in their order, the first `taken` of which are in force. Without a run they are kept in memory only.

    Each has "step", where it was made, and "decision", its kind: "steps" (of all training: "steps"), "micro_batch"
    (its new size), "rollback" ("to" an earlier step, or the beginning of this one, leaving out the batch of number
    "batch") or "end" ("to" the step whose state is kept).
    """

    run: RunDirectory | None = None
    lines: list[Decision] = field(default_factory=list)
    taken: int = 0

    @classmethod
    def open(cls, run: RunDirectory, *, writing: bool = True) -> Decisions:
        """Read those of a run. Unless `writing`, this process adds to its own copy alone."""
        lines = run.read_lines(DECISIONS)
        if lines and writing:  # without a line that a crash tore, to which the next would be glued
            run.write_lines(DECISIONS, lines)
        return cls(run if writing else None, lines)

    def record(self, decision: str, *, step: int, **facts: Any) -> None:
        """Write a decision down; it is in force once `take` has come upon it."""
        line = {"step": step, "decision": decision, **facts}
        if self.run is not None:
            self.run.append_line(DECISIONS, line)
        self.lines.append(line)

    def take(self, step: int) -> list[Decision]:
        """Put in force what is recorded for the moment before `step`, and return it.

        Where the training later came back to this moment, all that it did in between came to nothing: this training
        leaves it out, and goes on from the last return.
        """
        returns = [n for n in range(self.taken, len(self.lines)) if self.lines[n].get("to") == step]
        new: list[Decision] = []
        if returns:
            new = [line for line in self.lines[self.taken : returns[-1] + 1] if line["decision"] != "steps"]
            self.taken = returns[-1] + 1
        while self.waiting and self.lines[self.taken]["step"] == step and "to" not in self.lines[self.taken]:
            new.append(self.lines[self.taken])
            self.taken += 1
        return new

    def rewind(self, taken: int) -> None:
        """Go back to when only the first `taken` were in force. RunError if there are fewer."""
        if taken > len(self.lines):
            raise RunError(
                f"expected {taken} decisions in {DECISIONS}, as the checkpoint says; there are {len(self.lines)}. "
                "The file was changed or cut: repeat the training."
            )
        self.taken = taken

    @property
    def waiting(self) -> bool:
        """Whether some are recorded that are not in force yet: nothing new is to be decided before them."""
        return self.taken < len(self.lines)

    @property
    def returns(self) -> list[Decision]:
        """The returns to earlier states that are in force."""
        return [line for line in self.lines[: self.taken] if line["decision"] == "rollback"]

    @property
    def rate(self) -> float:
        """What is left of the planned learning rates."""
        return SLOWER ** len(self.returns)

    def batch(self, step: int) -> int:
        """Return the number of the batch that a step takes: its own, moved on by those that are left out before it."""
        for left_out in sorted(line["batch"] for line in self.returns):
            step += step >= left_out
        return step

    def micro_batch(self, planned: int) -> int:
        """Return how many examples are taken at once."""
        smaller = [line["micro_batch"] for line in self.lines[: self.taken] if line["decision"] == "micro_batch"]
        return min([planned, *smaller])
