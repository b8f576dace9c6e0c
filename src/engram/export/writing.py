"""Write an export: beside its place first, proved there, and only then given its name."""

from __future__ import annotations

import contextlib
import json
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engram.core import durable, events
from engram.core.errors import ConfigError, RunError, unknown
from engram.core.rundir import RunDirectory
from engram.core.units import format_bytes
from engram.export import stepping
from engram.export.facts import facts
from engram.export.proof import SHOWN, Proof, Rows, prove
from engram.predict.opening import features_of, task_of
from engram.predict.predictor import Predictor

SUFFIXES = {"onnx": ".onnx", "torch": ".pt2", "safetensors": ".safetensors", "eject": ""}
"""What a run can be exported to, and how the file is named."""


@dataclass(frozen=True)
class Export:
    """What was written. path: the file, or the folder. beside: further files. proof: None for the weights alone."""

    to: str
    path: Path
    beside: tuple[Path, ...]
    num_bytes: int
    seconds: float
    proof: Proof | None

    def as_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        return {
            "to": self.to,
            "path": str(self.path),
            "beside": [str(path) for path in self.beside],
            "bytes": self.num_bytes,
            "seconds": round(self.seconds, 2),
            "proof": self.proof.record() if self.proof is not None else None,
        }

    def sentences(self) -> list[str]:
        """Say in sentences what was written and how it compares."""
        beside = f", with {', '.join(path.name for path in self.beside)}" if self.beside else ""
        lines = [f"Written to {self.path} ({format_bytes(self.num_bytes)}{beside}) in {self.seconds:.0f} s."]
        if (proof := self.proof) is None:
            return lines
        same = "the same answers" if not proof.other_answers else f"{proof.other_answers} other answers, to close cases"
        largest = ", ".join(f"{name} {value:.1e}" for name, value in proof.difference.items())
        lines.append(f"Proved on {proof.source}, run apart: {same}; largest difference from PyTorch: {largest}.")
        for name, scores in proof.metrics.items():
            off = scores["exported"] - scores["run"]
            lines.append(f"  {name}: {scores['exported']:.4f} exported, {scores['run']:.4f} in PyTorch ({off:+.1e})")
        if proof.num_kept:
            named = ", ".join([*proof.disagreeing[:SHOWN], *(["..."] if len(proof.disagreeing) > SHOWN else [])])
            lines.append(
                f"Answered otherwise than when the run was scored: {len(proof.disagreeing):,} of {proof.num_kept:,} "
                + (f"rows ({named})." if named else "rows.")
            )
        return lines


def place(run: RunDirectory, to: str, out: str | Path | None) -> Path:
    """Return where an export is to lie: as asked, or in the run's folder of exports. Refuses what is in the way."""
    if to not in SUFFIXES:
        raise unknown("format", to, SUFFIXES)
    if to == "onnx":
        from engram.export.to_onnx import check_installed

        check_installed()
    if out is None:
        return run / "export" / ("ejected" if to == "eject" else f"model{SUFFIXES[to]}")
    path = Path(out)
    if SUFFIXES[to] and path.suffix != SUFFIXES[to]:
        raise ConfigError(f"expected --out to name a {SUFFIXES[to]} file for {to}; got {path}")
    if path.is_dir() if SUFFIXES[to] else path.exists():
        raise ConfigError(
            f"expected --out to name what is not there yet; {path} is a {'folder' if path.is_dir() else 'file'}. "
            "Name another."
        )
    return path


def write_weights(run: RunDirectory, path: Path) -> Export:
    """Write a run's weights, for which nothing has to be built."""
    from engram.export import to_safetensors

    task = task_of(run.read_run(), run)
    described, arrays = facts(run, task, features_of(run))
    return _written(
        "safetensors", path, described, arrays, write=lambda at: to_safetensors.write(run, at, described), proof=None
    )


def refuse_unknown_inputs(run: RunDirectory) -> None:
    """ConfigError where only the user knows what the network of a run is given."""
    if not task_of(run.read_run(), run).inputs:
        raise ConfigError(
            f"expected a run whose inputs engram knows; {run} was trained by a step of your own. Export its weights "
            "(--to safetensors), or its network by torch.export: engram.load(RUN, model=...).network"
        )


def write(predictor: Predictor, to: str, path: Path, rows: Rows) -> Export:
    """Write a run's model and prove it on rows; ExportError, and nothing left behind, where it answers otherwise."""
    if not len(rows):
        raise RunError(
            f"expected rows to prove the export on; {predictor.run} keeps none, and its data is gone. "
            "Name where it lies now with --data."
        )
    described, arrays = facts(predictor.run, predictor.task, predictor.features)
    if to == "onnx" and stepping.can_step(predictor):
        described["step"] = stepping.DESCRIPTION
    writer = _writer(to)
    return _written(
        to, path, described, arrays,
        write=lambda at: writer(predictor, rows, at, described),
        proof=lambda at: _proved(to, at, predictor, rows),
    )  # fmt: skip


def _proved(to: str, path: Path, predictor: Predictor, rows: Rows) -> Proof:
    """The proof of an export, and of the graph of single steps where there is one beside it."""
    found = prove(to, path, predictor, rows)
    if (step := stepping.beside(path)).exists():
        found.difference["step"] = stepping.prove(predictor, step, rows)
    return found


def _writer(to: str) -> Callable[[Predictor, Rows, Path, dict[str, Any]], None]:
    if to == "onnx":
        from engram.export import to_onnx

        return to_onnx.write
    if to == "torch":
        from engram.export import to_torch

        return to_torch.write
    from engram.export import to_eject

    return to_eject.write


def _written(
    to: str,
    path: Path,
    described: dict[str, Any],
    arrays: Mapping[str, Any],
    *,
    write: Callable[[Path], None],
    proof: Callable[[Path], Proof] | None,
) -> Export:
    """Write into a folder beside the place, prove, and move; on any failure the folder goes."""
    began = time.monotonic()
    path = path.absolute()
    with durable.telling(path, needed=0), _folder_beside(path) as folder:
        made = folder / path.name
        with events.stage(f"writing {path.name}"):
            write(made)
        proved = None
        if proof is not None:
            with events.stage("proving it"):
                proved = proof(made)
            described["proof"] = proved.record()
        extra = [one for one in folder.iterdir() if one != made]
        beside = [*extra, *_describe(made, described, arrays)]
        moved = [_moved(source, path.parent / source.name) for source in (made, *beside)]
    inner = [one for at in moved for one in (at.rglob("*") if at.is_dir() else [at])]
    size = sum(one.stat().st_size for one in inner)
    return Export(to, moved[0], tuple(moved[1:]), size, time.monotonic() - began, proved)


@contextlib.contextmanager
def _folder_beside(path: Path) -> Iterator[Path]:
    """A folder on the disk of what is written, for as long as that is not finished; of a failure nothing is left."""
    missing = [parent for parent in path.parents if not parent.exists()]
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with tempfile.TemporaryDirectory(prefix=".exporting-", dir=path.parent) as folder:
            yield Path(folder)
    finally:
        with contextlib.suppress(OSError):  # which hold something now
            for parent in missing:
                parent.rmdir()


def _describe(made: Path, described: dict[str, Any], arrays: Mapping[str, Any]) -> list[Path]:
    """Write the description, and the arrays that whoever feeds the model needs, into a folder or beside a file."""
    from safetensors.numpy import save_file

    inside = made.is_dir()
    place = made / "model" if inside else made
    found = [place.with_name(f"{place.name}.json")]
    found[0].write_text(json.dumps(described, ensure_ascii=False, indent=1), encoding="utf-8")
    if arrays:
        found.append(place.with_name(f"{place.name}.inputs.safetensors"))
        save_file(dict(arrays), found[1])
    return [] if inside else found


def _moved(source: Path, target: Path) -> Path:
    """Give a file or folder its name; a folder exported before makes room."""
    if source.is_dir() and target.is_dir():
        shutil.rmtree(target)
    source.replace(target)
    return target
