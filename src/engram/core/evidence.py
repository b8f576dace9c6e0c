"""Why something was inferred: a strength and a reason, so that a guess can be read and overruled."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

from engram.core.units import agreeing


@dataclass(frozen=True)
class Evidence:
    """How strongly something fits: 0 not at all, 1 beyond doubt. `reason` is a clause a person can check."""

    score: float
    reason: str

    def __bool__(self) -> bool:
        return self.score > 0


@dataclass(frozen=True)
class Fix:
    """What may be done about one row of the data.

    action: "drop", "relabel" (to `label`), or "keep" where a person should decide. score: 0 to 1, how sure.
    """

    row: int
    action: str
    reason: str
    label: str = ""
    score: float = 1.0


@dataclass(frozen=True)
class Finding:
    """One thing the doctor found in the data.

    severity: "error" (training stops), "warning" (act on it) or "info". message: a clause; where it begins with a
    count, in the plural, which is mended if that is one.
    where: the paths or row names it concerns, the first of them shown. fix: what to do about it. fixes: the same
    row by row, as far as it can be done for the user.
    """

    severity: str
    kind: str
    message: str
    where: tuple[str, ...] = ()
    fix: str = ""
    fixes: tuple[Fix, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "message", agreeing(self.message))

    def record(self) -> dict[str, Any]:
        """What a run keeps of it: all but the fixes row by row."""
        return {f.name: getattr(self, f.name) for f in fields(self) if f.name != "fixes"}
