"""What features let the user decide, gathered for the verbs that read data."""

from __future__ import annotations

from engram.core.registry import find, names
from engram.core.wishes import Wish

FEATURES, BASE = "engram.features", "feature"


def known_wishes() -> list[Wish]:
    """The wishes that some feature takes, each once."""
    kinds = (find(FEATURES, name, base=BASE) for name in names(FEATURES, base=BASE))
    return list({wish.name: wish for kind in kinds for wish in kind.wishes}.values())
