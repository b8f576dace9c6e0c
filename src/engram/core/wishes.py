"""Wishes: what the user may decide about the form in which data is seen, as options of the verbs that read it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from engram.core.errors import ConfigError, unknown


@dataclass(frozen=True)
class Wish:
    """One such option: `name` in Python, `--name` in the terminal.

    kind: int or str. several: whether it takes several values. choices: those that there are; none for any.
    """

    name: str
    help: str
    kind: type = str
    several: bool = False
    choices: tuple[str, ...] = ()
    metavar: str | None = None

    def checked(self, value: Any) -> Any:
        """Return a value as it is, or ConfigError where it can be none."""
        if self.kind is int and (isinstance(value, bool) or not isinstance(value, int) or value < 1):
            raise ConfigError(f"expected a whole number, 1 or more, for {self.name}; got {value!r}")
        if self.choices and value not in self.choices:
            raise unknown(self.name, str(value), self.choices)
        return value


def checked(wishes: Mapping[str, Any], known: Iterable[Wish]) -> dict[str, Any]:
    """Return the wishes that were made (a value of None is none). ConfigError for one that nothing takes."""
    by_name = {wish.name: wish for wish in known}
    for name in wishes:
        if name not in by_name:
            raise unknown("option", name, by_name)
    return {name: by_name[name].checked(value) for name, value in wishes.items() if value is not None}
