"""EASE in which what was taken lately counts more: the strongest of the floors where interactions have an order."""

from __future__ import annotations

from typing import ClassVar

from engram.floors.ease import Ease


class EaseByRecency(Ease):
    """Score each item by what it usually stands beside, and by how lately that was taken. Reads the role `history`.

    Of several powers of the age this one was best by NDCG on validation users (LOG.md, 2026-11-25); where order means
    nothing, all count alike.
    """

    deliverable = True
    decays: ClassVar[tuple[float, ...]] = (0.7, 0.0)
