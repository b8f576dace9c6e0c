"""Checkpoints that survive a crash at any moment.

A checkpoint is written to `step-N.tmp/`, its checksums last, flushed to disk, then renamed. What carries
the name `step-N` is therefore whole, and still each file is verified before it is believed.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from torch import Tensor

from engram.core.rundir import RunDirectory

MANIFEST = "manifest.json"


@dataclass
class Checkpoint:
    """Tensors and plain facts (JSON) at one step."""

    step: int
    tensors: dict[str, Tensor]
    facts: dict[str, Any]


def save(run: RunDirectory, checkpoint: Checkpoint) -> Path:
    """Write a checkpoint; the older ones are removed only once it is safe on disk. Returns its folder."""
    folder = run / "checkpoints"
    final, temporary = folder / f"step-{checkpoint.step}", folder / f"step-{checkpoint.step}.tmp"
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    contents = {
        "state.safetensors": save_tensors(separate(checkpoint.tensors)),
        "state.json": json.dumps(checkpoint.facts).encode(),
    }
    checksums = {name: hashlib.sha256(content).hexdigest() for name, content in contents.items()}
    contents[MANIFEST] = json.dumps({"step": checkpoint.step, "sha256": checksums}).encode()
    for name, content in contents.items():
        with open(temporary / name, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
    _sync_folder(temporary)
    if final.exists():
        shutil.rmtree(final)
    temporary.rename(final)
    _sync_folder(folder)
    for other in folder.iterdir():
        if other != final:
            shutil.rmtree(other)
    return final


def separate(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return plain copies on the CPU that share no memory: layers that share weights are each saved whole."""
    return {
        name: value.detach().to("cpu", copy=True, memory_format=torch.contiguous_format)
        for name, value in tensors.items()
    }


def load_newest(run: RunDirectory) -> Checkpoint | None:
    """Return the newest checkpoint whose every file matches its checksum, or None."""
    folder = run / "checkpoints"
    if not folder.is_dir():
        return None
    numbered = [path for path in folder.iterdir() if path.name.removeprefix("step-").isdigit()]
    for path in sorted(numbered, key=lambda p: int(p.name.removeprefix("step-")), reverse=True):
        if (checkpoint := _verified(path)) is not None:
            return checkpoint
    return None


def _verified(path: Path) -> Checkpoint | None:
    """Read a checkpoint whose files are all as its manifest says; None for any other."""
    try:
        manifest = json.loads((path / MANIFEST).read_bytes())
        contents = {name: (path / name).read_bytes() for name in ("state.safetensors", "state.json")}
        whole = all(hashlib.sha256(c).hexdigest() == manifest["sha256"][name] for name, c in contents.items())
    except (OSError, ValueError, KeyError, TypeError):
        return None
    if not whole:
        return None
    return Checkpoint(
        step=manifest["step"],
        tensors=load_tensors(contents["state.safetensors"]),
        facts=json.loads(contents["state.json"]),
    )


def pack_optimizer(optimizer: torch.optim.Optimizer, prefix: str) -> dict[str, Tensor]:
    """An optimizer's state as named tensors."""
    state = optimizer.state_dict()["state"]
    return {
        f"{prefix}/{index}/{name}": torch.as_tensor(value)
        for index, kept in state.items()
        for name, value in kept.items()
    }


def unpack_optimizer(optimizer: torch.optim.Optimizer, prefix: str, tensors: dict[str, Tensor]) -> None:
    """Put back what `pack_optimizer` gave."""
    state: dict[int, dict[str, Tensor]] = {}
    for key, value in tensors.items():
        if key.startswith(prefix + "/"):
            _, index, name = key.rsplit("/", 2)
            state.setdefault(int(index), {})[name] = value.clone()
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})


def _sync_folder(path: Path) -> None:
    if os.name == "posix":
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
