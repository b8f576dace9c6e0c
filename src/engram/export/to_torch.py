"""A program of `torch.export` (.pt2): the same graph as ONNX gets, opened by `torch.export.load` without engram."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch

from engram.export.proof import Rows, sample
from engram.export.tracing import quiet, traced
from engram.predict.predictor import Predictor


def write(predictor: Predictor, rows: Rows, path: Path, facts: dict[str, Any]) -> None:
    """Write the program; the file holds its description too."""
    program = traced(predictor, sample(predictor, rows))
    with quiet():
        torch.export.save(program, path, extra_files={"engram.json": json.dumps(facts, ensure_ascii=False)})
