"""One clock for a whole command: every stage of it lives within the same deadline."""

from __future__ import annotations

import time
from dataclasses import dataclass, field


@dataclass
class Deadline:
    """The time a command may take. `seconds` None means that there is no limit (epochs or steps were given).

    `started` is a `time.monotonic()` value; a command line sets it to when the process began.
    """

    seconds: float | None
    started: float = field(default_factory=time.monotonic)

    def elapsed(self) -> float:
        """Seconds since the command began."""
        return time.monotonic() - self.started

    def remaining(self) -> float:
        """Seconds left; infinity without a limit; negative once it has passed."""
        return float("inf") if self.seconds is None else self.seconds - self.elapsed()
