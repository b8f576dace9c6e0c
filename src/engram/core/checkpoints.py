"""The checkpoints of a run, seen without torch: which there are, and which of them are as they were written."""

from __future__ import annotations

import re
from pathlib import Path

from engram.core import strict, tensors
from engram.core.errors import RunError
from engram.core.rundir import RunDirectory

FOLDER, MANIFEST = "checkpoints", "manifest.json"
STATE, FACTS = "state.safetensors", "state.json"


def numbered(run: RunDirectory) -> list[Path]:
    """The checkpoints of a run, newest first; one that another of its step was about to replace comes after it."""
    folder = run / FOLDER
    inside = folder.iterdir() if folder.is_dir() else ()
    found = [path for path in inside if re.fullmatch(r"step-\d{1,18}(\.old)?", path.name)]
    return sorted(found, key=lambda path: (step_of(path), path.suffix != ".old"), reverse=True)


def step_of(path: Path) -> int:
    """The step that a checkpoint is of."""
    return int(path.stem.removeprefix("step-"))


def newest(run: RunDirectory) -> tuple[Path | None, dict[Path, str]]:
    """Return the newest checkpoint that is whole, and what is wrong with those after it; None where there are none.

    RunError where there are some and none is whole.
    """
    damaged: dict[Path, str] = {}
    for path in numbered(run):
        try:
            check(path)
        except (OSError, ValueError) as error:
            damaged[path] = str(error)
        else:
            return path, damaged
    if damaged:
        found = ". ".join(f"The checkpoint {path} is damaged ({why})" for path, why in damaged.items())
        raise RunError(f"expected a checkpoint that is whole. {found}. Repeat the training.")
    return None, {}


def check(path: Path) -> None:
    """Read all of a checkpoint; ValueError or OSError says what is not as its manifest says."""
    strict.check_plain(path, folder=True)
    manifest = strict.unsealed(strict.read_plain(path / MANIFEST, most=strict.MOST_BYTES))
    if manifest.get("step") != step_of(path):
        raise ValueError(f"{MANIFEST} is of step {manifest.get('step')}")
    checksums = manifest.get("files")
    if not isinstance(checksums, dict) or set(checksums) != {STATE, FACTS}:
        raise ValueError(f"{MANIFEST} names other files than a checkpoint has")
    tensors.header(path / STATE)
    if not isinstance(strict.read_json(path / FACTS), dict):
        raise ValueError(f"{FACTS} is no object")
    for name, checksum in checksums.items():
        if strict.digest(path / name) != checksum:
            raise ValueError(f"the checksum of {name} is not the one in {MANIFEST}")
