"""Why something was inferred: a strength and a reason, so that a guess can be read and overruled."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Evidence:
    """How strongly something fits: 0 not at all, 1 beyond doubt. `reason` is a clause a person can check."""

    score: float
    reason: str

    def __bool__(self) -> bool:
        return self.score > 0


@dataclass(frozen=True)
class Finding:
    """One thing the doctor found in the data.

    severity: "error" (training stops), "warning" (act on it) or "info".
    where: the paths or row names it concerns, the first of them shown. fix: what to do about it.
    """

    severity: str
    kind: str
    message: str
    where: tuple[str, ...] = ()
    fix: str = ""
