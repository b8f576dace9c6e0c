"""Run what was exported in a process of its own, without what it must not need.

Started as a file by `engram.export.proof`, so that nothing of engram is imported here: python running.py KIND FILE
GIVEN ANSWERS. GIVEN is an .npz file of inputs, "NUMBER/ROLE" for each batch, ANSWERS is written like it.
"""

from __future__ import annotations

import runpy
import sys
from collections.abc import Callable
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np

Run = Callable[[dict[str, np.ndarray]], dict[str, np.ndarray]]

ABSENT = {
    "onnx": ("torch", "engram"),
    "step": ("torch", "engram"),
    "torch": ("engram",),
    "eject": ("engram", "safetensors"),
}
"""What importing fails for, as where it is not installed."""


def onnx(path: Path) -> Run:
    """Open an ONNX file in onnxruntime."""
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return lambda given: dict(zip(names, session.run(None, given), strict=True))


def step(path: Path) -> Run:
    """Open a graph of single steps of generation, and let it read texts: half at once, then id by id."""
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    layers, two, _, heads, _, width = session.get_inputs()[1].shape

    def run(given: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        text, found = given["text"], []
        past = np.zeros((layers, two, len(text), heads, 0, width), np.float32)
        half = (text.shape[1] + 1) // 2
        for ids in (text[:, :half], *(text[:, at : at + 1] for at in range(half, text.shape[1]))):
            output, past = session.run(None, {"text": ids, "past": past})
            found.append(output)
        return {"output": np.concatenate(found, 1)}

    return run


def torch(path: Path) -> Run:
    """Open a .pt2 file by torch's own loader."""
    import torch

    return _in_torch(torch.export.load(path).module())


def eject(path: Path) -> Run:
    """Run the script of an ejected folder, which checks itself, and load its model."""
    return _in_torch(runpy.run_path(str(path / "model.py"), run_name="__main__")["load"]())


def _in_torch(model: Any) -> Run:
    import torch

    def run(given: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        with torch.no_grad():
            answers = model(*(torch.from_numpy(value) for value in given.values()))
        return {name: value.numpy() for name, value in answers.items()}

    return run


def main(kind: str, path: str, given: str, answers: str) -> None:
    """Answer for every batch of a file."""
    for name in ABSENT[kind]:
        sys.modules[name] = None  # type: ignore[assignment]  # which makes importing it fail
    run = {"onnx": onnx, "step": step, "torch": torch, "eject": eject}[kind](Path(path))
    found = {}
    with np.load(given) as arrays:
        for number, names in groupby(arrays.files, key=lambda name: name.partition("/")[0]):
            batch = {name.partition("/")[2]: arrays[name] for name in names}
            found.update({f"{number}/{name}": value for name, value in run(batch).items()})
    np.savez(answers, **found)  # type: ignore[arg-type]  # numpy types its own keyword alone


if __name__ == "__main__":
    main(*sys.argv[1:])
