"""From a module to its graph (`torch.export`), for any number of examples and any length that may vary."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor
from torch.export import Dim, ExportedProgram

from engram.core.errors import ExportError
from engram.export.exported import Exported
from engram.predict.predictor import Predictor


def exported(predictor: Predictor) -> Exported:
    """Return the module that is exported, on the CPU in evaluation mode."""
    encoders = [predictor.features[role].graph() for role in predictor.task.graph_inputs]
    return Exported(predictor.module, encoders, kind=predictor.task.answers.calibration).eval()


def axes(predictor: Predictor) -> list[dict[int, str]]:
    """Return the names of the axes that vary, for each input; several inputs vary independently of one another."""
    roles = predictor.task.graph_inputs
    return [
        {0: "batch"}
        | {
            axis: name if len(roles) == 1 else f"{role}_{name}"
            for axis, name in predictor.features[role].varying.items()
        }
        for role in roles
    ]


def traced(predictor: Predictor, inputs: Sequence[Tensor]) -> ExportedProgram:
    """Trace the exported module by some inputs; ExportError where the network cannot be."""
    dims: dict[str, Dim] = {}
    shapes = tuple(
        {axis: dims.setdefault(name, Dim(name, min=1)) for axis, name in own.items()} for own in axes(predictor)
    )
    try:
        with quiet(), torch.no_grad():
            return torch.export.export(
                exported(predictor), tuple(inputs), dynamic_shapes={"given": shapes}, strict=False
            )
    except Exception as error:  # whatever the user's own code, or torch, raises
        raise refused(error) from error


def refused(error: Exception) -> ExportError:
    """Say that a network cannot be exported, and why."""
    why = str(error).strip().splitlines() or [""]
    return ExportError(
        f"the network cannot be written as a graph for any number of examples ({type(error).__name__}: {why[0]}). "
        "Let it not depend on numbers in tensors, nor on one size of batch (x.shape[0] in place of len(x)). "
        "--debug shows where it fails."
    )


@contextmanager
def quiet() -> Iterator[None]:
    """Within the block, torch does not tell what is of no use to whoever exports."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
