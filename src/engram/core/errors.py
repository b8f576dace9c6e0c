"""Mistakes a user can make, said so that the user can mend them.

Every message has three parts: what was expected, what came, what to do.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class EngramError(ValueError):
    """A mistake in what engram was given. The command line prints it without a traceback."""

    exit_code = 2


class ConfigError(EngramError):
    """An option or setting that does not exist or does not fit."""


class DataError(EngramError):
    """Data that cannot be read, or from which nothing can be learned."""


class RunError(EngramError):
    """A run directory that is missing, incomplete, in use or damaged."""


class DiskError(EngramError):
    """A disk that is full, read-only or not ours to write; the message names path, needed and free bytes."""

    exit_code = 1


class BudgetError(EngramError):
    """A time budget that does not suffice; the message names one that does."""


class ExportError(EngramError):
    """An exported model that does not answer as the run does."""

    exit_code = 1


class LostProcessError(EngramError):
    """Another of the processes that train together has ended."""

    exit_code = 1


class Stopped(Exception):  # noqa: N818  (nothing went wrong)
    """Training was stopped by a signal after everything had been saved.

    `exit_code` is 128 + the signal's number (130 for Ctrl-C, 143 for SIGTERM).
    """

    def __init__(self, message: str, *, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code


class Interrupted(KeyboardInterrupt):
    """A signal asked for the end at once, as Ctrl-C does; `number` is the signal's."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number


def nearest(name: str, options: Iterable[str]) -> str | None:
    """Return the option that `name` was probably meant to be, or None."""
    matches = difflib.get_close_matches(name.lower(), list(options), n=1, cutoff=0.5)
    return matches[0] if matches else None


def unknown(kind: str, name: str, options: Iterable[str]) -> ConfigError:
    """Build the error for a name that does not exist, offering the nearest one that does."""
    options = sorted(options)
    guess = nearest(name, options)
    hint = f"did you mean {guess!r}?" if guess else "use one of those"
    return ConfigError(f"there is no {kind} called {name!r}. There are: {', '.join(options)}; {hint}")
