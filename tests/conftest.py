"""Tests share the machine: one thread each, and idle threads that sleep instead of spinning."""

from __future__ import annotations

import os

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("OMP_NUM_THREADS", "1")

from pathlib import Path

import pytest
from hypothesis import settings

settings.register_profile("shared", deadline=None)  # a busy machine is slow, not wrong
settings.load_profile("shared")


@pytest.fixture(autouse=True, scope="session")
def _prepared_data_elsewhere(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Keep what tests prepare out of the user's cache; one folder for the whole session, as in use."""
    os.environ["ENGRAM_CACHE"] = str(Path(tmp_path_factory.getbasetemp()) / "engram-cache")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what is run nightly, unless it is asked for."""
    if "nightly" not in config.option.markexpr:
        nightly = [item for item in items if item.get_closest_marker("nightly")]
        config.hook.pytest_deselected(items=nightly)
        items[:] = [item for item in items if item not in nightly]
