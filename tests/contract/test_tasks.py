"""Every task keeps its contract, on its own sample."""

import pytest

from engram.core.registry import find, names
from engram.testing import check_task

TASKS = {name: find("engram.tasks", name, base="task") for name in names("engram.tasks", base="task")}


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name, task in TASKS.items() if task.inputs])  # own_step has nothing to read
def test_task(name: str) -> None:
    check_task(TASKS[name])
