"""Reading that would use up the time is stopped early, and only then."""

from __future__ import annotations

import pytest

from engram.api import reading
from engram.core.deadline import Deadline
from engram.core.errors import BudgetError


class Clock(Deadline):
    """A deadline whose time is set by hand."""

    now = 0.0

    def elapsed(self) -> float:
        return self.now


def test_each_piece_of_work_is_judged_by_its_own_speed():
    clock = Clock(60.0)
    patience = reading._Patience(clock)
    for name, began in (("preparing", 1.0), ("looking for copies", 7.0)):
        for part in range(1, 101):
            clock.now = began + 6 * part / 100
            patience({"event": "progress", "name": name, "done": part, "total": 100})


def test_work_that_is_too_slow_is_stopped_and_a_budget_named():
    clock = Clock(60.0)
    patience = reading._Patience(clock)
    patience({"event": "progress", "name": "preparing", "done": 1, "total": 1000})
    clock.now = 3.0
    with pytest.raises(BudgetError, match=r"about 2 min 30 s of the 1 min given. Use --budget 6m"):
        patience({"event": "progress", "name": "preparing", "done": 20, "total": 1000})
