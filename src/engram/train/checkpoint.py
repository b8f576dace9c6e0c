"""Checkpoints that survive a crash at any moment.

A checkpoint is written to `step-N.tmp/`, its checksums last, flushed to disk, then renamed. What carries the name
`step-N` is therefore whole; still each file is verified before it is believed, and the one before is kept for
the case that the newest is not.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from torch import Tensor

from engram.core import durable, events, strict
from engram.core.checkpoints import FACTS, FOLDER, MANIFEST, STATE, newest, numbered, step_of
from engram.core.rundir import RunDirectory

KEPT = 2
"""The newest, and the one before."""


@dataclass
class Checkpoint:
    """Tensors and plain facts (JSON) at one step."""

    step: int
    tensors: dict[str, Tensor]
    facts: dict[str, Any]


def save(run: RunDirectory, checkpoint: Checkpoint) -> Path:
    """Write a checkpoint; those before the last two are removed only once it is safe on disk. Returns its folder.

    DiskError where the disk refuses it; what was written of it is then gone, and the older ones are as they were.
    """
    folder = run / FOLDER
    final, temporary = folder / f"step-{checkpoint.step}", folder / f"step-{checkpoint.step}.tmp"
    contents = _contents(checkpoint)
    with durable.telling(final, needed=sum(map(len, contents.values()))):
        try:
            durable.make_folder(folder)
            _remove(temporary)
            temporary.mkdir()
            for name, content in contents.items():
                durable.write_new(temporary / name, content)
            durable.sync_folder(temporary)
            _put_in_place(temporary, final)
        except BaseException:
            shutil.rmtree(temporary, ignore_errors=True)
            raise
    _remove_older(run, final)
    return final


def _contents(checkpoint: Checkpoint) -> dict[str, bytes]:
    """Name -> content of a checkpoint's files, the manifest last."""
    contents = {
        STATE: save_tensors(separate(checkpoint.tensors)),
        FACTS: json.dumps(checkpoint.facts).encode(),
    }
    checksums = {name: hashlib.sha256(content).hexdigest() for name, content in contents.items()}
    return {**contents, MANIFEST: strict.sealed({"step": checkpoint.step, "files": checksums})}


def _put_in_place(temporary: Path, final: Path) -> None:
    """Give a whole checkpoint its name; one that had it before stays readable until then."""
    if final.exists():
        before = final.with_name(final.name + ".old")
        _remove(before)
        final.rename(before)
    temporary.rename(final)
    durable.sync_folder(final.parent)


def _remove_older(run: RunDirectory, saved: Path) -> None:
    """Remove what a crash left, and all checkpoints but the one just saved and the one before."""
    before = [path for path in numbered(run) if step_of(path) < step_of(saved)]
    kept = {saved, *before[: KEPT - 1]}
    for path in saved.parent.iterdir():
        if path not in kept and path.name.startswith("step-"):
            with contextlib.suppress(OSError):  # it is in nobody's way, and goes with the next one
                _remove(path)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)


def separate(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return plain copies on the CPU that share no memory: layers that share weights are each saved whole."""
    return {
        name: value.detach().to("cpu", copy=True, memory_format=torch.contiguous_format)
        for name, value in tensors.items()
    }


def load_newest(run: RunDirectory) -> Checkpoint | None:
    """Return the newest checkpoint whose every file matches its checksum; None where there are none.

    A damaged one is told, put aside as `step-N.damaged`, and the one before is taken. RunError where none is whole.
    """
    path, damaged = newest(run)
    if path is None:
        return None
    for other, why in damaged.items():
        events.warn(f"The checkpoint {other} is damaged ({why}); the one of step {step_of(path)} is taken.")
        other.rename(other.with_name(other.name + ".damaged"))
    facts = strict.read_json(path / FACTS)
    return Checkpoint(step=step_of(path), tensors=load_tensors((path / STATE).read_bytes()), facts=facts)


def pack_optimizer(optimizer: torch.optim.Optimizer, prefix: str) -> dict[str, Tensor]:
    """An optimizer's state as named tensors."""
    state = optimizer.state_dict()["state"]
    return {
        f"{prefix}/{index}/{name}": torch.as_tensor(value)
        for index, kept in state.items()
        for name, value in kept.items()
    }


def unpack_optimizer(optimizer: torch.optim.Optimizer, prefix: str, tensors: dict[str, Tensor]) -> None:
    """Put back what `pack_optimizer` gave, laid out in memory as the parameters are: fused steps rely on it."""
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    state: dict[int, dict[str, Tensor]] = {}
    for key, value in tensors.items():
        if key.startswith(prefix + "/"):
            _, index, name = key.rsplit("/", 2)
            parameter = parameters[int(index)]
            like = parameter.detach() if parameter.shape == value.shape else value
            state.setdefault(int(index), {})[name] = torch.empty_like(like, dtype=value.dtype).copy_(value)
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
