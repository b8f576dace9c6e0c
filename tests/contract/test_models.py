"""Every architecture keeps its contract."""

import pytest

from engram.core.registry import find, names
from engram.testing import check_model


@pytest.mark.parametrize("name", names("engram.models", base="build"))
def test_model(name: str) -> None:
    check_model(find("engram.models", name, base="build"))
