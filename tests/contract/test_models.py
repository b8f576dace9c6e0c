"""Every architecture keeps its contract."""

import pytest

from engram.core.registry import find, names
from engram.testing import check_model

NO_ARCHITECTURE = {"delivered", "layers"}
MODELS = [name for name in names("engram.models", base="build") if name not in NO_ARCHITECTURE]


@pytest.mark.parametrize("name", MODELS)
def test_model(name: str) -> None:
    check_model(find("engram.models", name, base="build"))
