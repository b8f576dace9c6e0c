"""Which version a name serves: kept in a folder, one file a name, and changed by `engram promote` alone.

    registry/photos.json    {"least": {"accuracy": 0.9}, "versions": [{"run": …, "promoted": …, "scores": {…}}, …]}

The last version is the one that is served; going back takes it away. A server that serves the name looks at its file
every second.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from engram.core import durable, lock, strict
from engram.core.errors import ConfigError, EngramError, RunError, unknown
from engram.core.rundir import RunDirectory

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
FOLDER = "registry"


@dataclass(frozen=True)
class Version:
    """One promotion: the run's absolute path, when, and the run's own scores then."""

    run: str
    promoted: str
    task: str
    scores: dict[str, float]


@dataclass
class Record:
    """What is known of a name. least: metric -> what a version has to reach (for an error: may at most be)."""

    least: dict[str, float] = field(default_factory=dict)
    versions: list[Version] = field(default_factory=list)

    @property
    def current(self) -> Version | None:
        """The version that is served, if one was promoted."""
        return self.versions[-1] if self.versions else None


class Registry:
    """The folder of names. Creating the object touches nothing on disk."""

    def __init__(self, folder: str | os.PathLike[str] = FOLDER) -> None:
        self.folder = Path(folder)

    def names(self) -> list[str]:
        """Names that have a promoted version."""
        found = sorted(path.stem for path in self.folder.glob("*.json")) if self.folder.is_dir() else []
        return [name for name in found if NAME.fullmatch(name) and self.read(name).versions]

    def stamp(self, name: str) -> tuple[int, int] | None:
        """What changes whenever the name's file does."""
        try:
            found = self._path(name).stat()
        except OSError:
            return None
        return found.st_mtime_ns, found.st_ino

    def read(self, name: str) -> Record:
        """What is known of a name; an empty record for one that is new. RunError where its file is damaged."""
        path = self._path(name)
        try:
            content = strict.unsealed(strict.read_plain(path, most=strict.MOST_BYTES))
            return Record(dict(content["least"]), [Version(**version) for version in content["versions"]])
        except FileNotFoundError:
            return Record()
        except (ValueError, KeyError, TypeError) as error:
            raise RunError(f"{path} is damaged ({error}). Remove it, and promote again.") from None

    @contextmanager
    def changing(self, name: str) -> Iterator[Record]:
        """Within the block the record may be changed, and is written at its end; others wait their turn elsewhere."""
        path = self._path(name)
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigError(f"expected a folder for names; {self.folder} cannot be made ({error.strerror})") from None
        with open(self.folder / f".{name}.lock", "wb") as file:
            if not lock.take(file):
                raise RunError(f"{path} is being changed by another process. Try again.")
            record = self.read(name)
            yield record
            durable.write_atomically(path, strict.sealed(asdict(record)))

    def _path(self, name: str) -> Path:
        return self.folder / f"{checked_name(name)}.json"


def checked_name(name: str) -> str:
    """Return a name that can be part of an address; ConfigError for another."""
    if not NAME.fullmatch(name):
        raise ConfigError(f"expected a name of letters, digits, '.', '_' and '-'; got {name!r}. Give one as NAME=RUN")
    return name


def promote(
    run: RunDirectory,
    name: str,
    *,
    registry: str | os.PathLike[str] = FOLDER,
    least: Mapping[str, float] | None = None,
    model: Any = None,
    trust_source: bool = False,
) -> dict[str, Any]:
    """Let a name serve a run from now on; a server takes it up within a second or two, and drops no request.

    least: metric -> what the run has to reach by its own test rows (validation rows where it has none), lower for
    errors; kept with the name, and asked of every later version too. model, trust_source: for a run with a network
    of the user's own, as `engram.load` takes them. RunError where `least` is not reached, where the run does not open,
    or where it is of another task than what the name serves.
    Returns {"name", "run", "before", "scores", "least", "split"}.
    """
    facts = run.read_run()
    split, scores = scores_of(facts)
    directions = _directions(run, model=model, trust_source=trust_source)
    with Registry(registry).changing(name) as record:
        record.least |= {metric: float(value) for metric, value in (least or {}).items()}
        _check_scores(run, split, scores, record.least, directions)
        before = record.current
        if before is not None and before.task != facts["task"]:
            raise RunError(
                f"expected a run of {before.task}, as {name} serves; {run} is of {facts['task']}. Use another name."
            )
        version = Version(
            str(run.path.resolve()), datetime.now(UTC).isoformat(timespec="seconds"), facts["task"], scores
        )
        record.versions.append(version)
    return {
        "name": name, "run": version.run, "before": before.run if before else None,
        "scores": scores, "least": record.least, "split": split,
    }  # fmt: skip


def undo(name: str, *, registry: str | os.PathLike[str] = FOLDER) -> dict[str, Any]:
    """Go back to what the name served before its last promotion. Returns {"name", "run", "before"}.

    "run" is None where nothing had been promoted before: a server then goes back to the run it was started with.
    """
    with Registry(registry).changing(name) as record:
        if record.current is None:
            raise ConfigError(f"expected a name with a promoted version; {name} has none in {registry}")
        before = record.versions.pop()
        now = record.current
    return {"name": name, "run": now.run if now else None, "before": before.run}


def scores_of(facts: Mapping[str, Any]) -> tuple[str, dict[str, float]]:
    """The split by which a run is judged, and metric -> value on it."""
    results = facts.get("results") or {}
    split = "test" if "test" in results else "val"
    metrics = (results.get(split) or {}).get("metrics") or {}
    values = {metric: found["value"] for metric, found in metrics.items() if isinstance(found, dict)}
    return split, {metric: value for metric, value in values.items() if isinstance(value, int | float)}


def _directions(run: RunDirectory, **network: Any) -> dict[str, bool]:
    """Metric -> whether higher is better. Opens the whole run on the way: what is promoted can be served."""
    from engram.predict.predictor import load

    try:
        task = load(run, **network).task
    except EngramError as error:
        raise RunError(f"{run} cannot be served: {error}") from None
    return {metric.name: metric.higher_is_better for metric in task.metrics}


def _check_scores(
    run: RunDirectory, split: str, scores: Mapping[str, float], least: Mapping[str, float], higher: Mapping[str, bool]
) -> None:
    for metric, bound in least.items():
        if metric not in higher:
            raise unknown("metric", metric, higher)
        value = scores.get(metric, math.nan)
        reached = value >= bound if higher[metric] else value <= bound
        if not reached:
            most = "least" if higher[metric] else "most"
            raise RunError(
                f"expected {metric} of at {most} {bound:g}; {run} has {value:g} on its {split} rows, and was not "
                "promoted. What is served stays as it is."
            )
