"""Every task keeps its contract, on its own sample."""

import pytest

from engram.core.registry import find, names
from engram.testing import check_task


@pytest.mark.parametrize("name", names("engram.tasks", base="task"))
def test_task(name: str) -> None:
    check_task(find("engram.tasks", name, base="task"))
