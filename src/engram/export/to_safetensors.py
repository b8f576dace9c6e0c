"""The weights alone, as the run holds them, with a description of what each is."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from engram.core.rundir import RunDirectory

MODEL = "model.safetensors"


def write(run: RunDirectory, path: Path, facts: dict[str, Any]) -> None:
    """Copy the run's weights, which are safetensors already, and describe them in `facts`."""
    record = run.read_run()
    shutil.copyfile(run / MODEL, path)
    facts["network"] = {name: value for name, value in record["network"].items() if name != "sha256"}
    facts["delivered"] = record.get("delivered") or {}
    facts["preprocessing"] = run.read_json("features.json") if (run / "features.json").exists() else {}
    facts["tensors"] = {
        name: {"dtype": entry.dtype, "shape": list(entry.shape), "of": _part(name, bool(facts["delivered"]))}
        for name, entry in run.header(MODEL).items()
    }


def _part(name: str, delivered: bool) -> str:
    """Say which part of the model a tensor belongs to."""
    first = name.partition(".")[0]
    if not delivered or first == "network":
        return "network"
    return {"floor": "floor", "share": "blend", "temperatures": "blend", "temperature": "calibration"}.get(
        first, "calibration" if first == "bias" else "unfamiliarity"
    )
