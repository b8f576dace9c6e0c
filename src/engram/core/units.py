"""Durations, bytes and counts: read as people write them, written as people read them; one thing in the singular."""

from __future__ import annotations

import re

from engram.core.errors import ConfigError

_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_VERBS = {"are": "is", "were": "was", "have": "has", "do": "does", "count": "counts"} | {
    verb: f"{verb}s" for verb in ("say", "give", "hold", "differ", "stand", "lead", "repeat", "lie", "tell", "seem")
}
_VERB = re.compile(rf"\b(?:{'|'.join(_VERBS)})\b")
_ONE = re.compile(r"1 (of [\d,]+ \w+|(?!series)(?:exact |near )?[a-z]+s\b)")
"""How findings begin whose count is one, and the verbs that then change."""


def parse_duration(text: str | float) -> float:
    """Read "90s", "10m", "2h", "1h30m" or a number of seconds. Returns seconds."""
    if isinstance(text, int | float):
        seconds = float(text)
    else:
        pieces = re.findall(r"([\d.]+)\s*(ms|[smhd]?)", text.strip().lower())
        if not pieces or "".join(n + u for n, u in pieces) != re.sub(r"\s", "", text.lower()):
            raise ConfigError(f"expected a time such as 90s, 10m or 2h; got {text!r}")
        try:
            seconds = sum(float(number) * _SECONDS[unit or "s"] for number, unit in pieces)
        except ValueError:
            raise ConfigError(f"expected a time such as 90s, 10m or 2h; got {text!r}") from None
    if not 0 < seconds < 10**9:
        raise ConfigError(f"expected a time above zero, such as 90s or 10m; got {text!r}")
    return seconds


def format_duration(seconds: float) -> str:
    """4.2 -> "4.2 s"; 95 -> "1 min 35 s"; 7300 -> "2 h 2 min"."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s" if rest else f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if minutes else f"{hours} h"


def format_bytes(number: float) -> str:
    """1536 -> "1.5 KiB"."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if abs(number) < 1024:
            return f"{number:.0f} {unit}" if unit == "B" else f"{number:.1f} {unit}"
        number /= 1024
    return f"{number:.1f} TiB"


def format_number(number: float, *, sign: str = "") -> str:
    """0.87312 -> "0.8731"; 45481.4 -> "45,481"; 0.0000123 -> "1.23e-05". sign: "+" writes it wherever there is one."""
    size = abs(number)
    if 1000 <= size < 1e9:
        return f"{number:{sign},.0f}"
    return f"{number:{sign}.4f}" if 0.001 <= size < 1000 or number == 0 else f"{number:{sign}.3g}"


def format_count(number: int) -> str:
    """2345678 -> "2.3 M"; 45678 -> "45,678"."""
    return f"{number / 1e6:.1f} M" if number >= 10**6 else f"{number:,}"


def agreeing(message: str) -> str:
    """Put what begins with a count of one into the singular: "1 files are odd" -> "1 file is odd"."""
    begun = _ONE.match(message)
    if begun is None:
        return message
    many, rest = begun[1], message[begun.end() :]
    if many == "times":
        return f"once{rest}"
    one = many if many.startswith("of ") else re.sub("(?<=ss)es$|s$", "", re.sub("ies$", "ys", many))
    rest = _VERB.sub(lambda verb: _VERBS[verb[0]], rest, count=1)
    return f"1 {one}{re.sub(f'(?<= and )(?:{_VERB.pattern})', lambda verb: _VERBS[verb[0]], rest)}"
