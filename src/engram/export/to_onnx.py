"""ONNX: a graph that any of its runtimes runs, from decoded input to calibrated answer."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import torch

from engram.core.errors import ConfigError, ExportError
from engram.core.units import format_bytes
from engram.export import stepping
from engram.export.proof import Rows, sample
from engram.export.tracing import axes, quiet, refused, traced
from engram.predict.predictor import Predictor

MOST_BYTES = 2 * 10**9

DOUBLE, SINGLE = 11, 1
"""Numbers of types in ONNX."""


def check_installed() -> None:
    """ConfigError where what writes and runs ONNX is not installed."""
    try:
        import onnx  # noqa: F401
        import onnxruntime  # noqa: F401
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise ConfigError(
            f"expected onnx, onnxscript and onnxruntime to export to ONNX; {error.name} is not installed. "
            "Install them: pip install 'engram[onnx]'"
        ) from None


def write(predictor: Predictor, rows: Rows, path: Path, facts: dict[str, Any]) -> None:
    """Write one .onnx file, weights included; ExportError where the network has no such graph."""
    check_installed()
    size = sum(tensor.numel() * tensor.element_size() for tensor in predictor.module.state_dict().values())
    if size > MOST_BYTES:
        raise ExportError(
            f"expected weights of at most {format_bytes(MOST_BYTES)}, which one ONNX file can hold; the network has "
            f"{format_bytes(size)}. Use --to torch."
        )
    program = traced(predictor, sample(predictor, rows))
    try:
        with quiet():
            found = torch.onnx.export(
                program,
                input_names=list(predictor.task.graph_inputs),
                output_names=list(facts["outputs"]),
                custom_translation_table={torch.ops.aten._cdist_forward.default: distances},
                external_data=False,
                verbose=False,
            )
    except Exception as error:  # torch wraps whatever its translations raise
        raise refused(error) from error
    assert found is not None, "without a file named, the program is returned"
    model = found.model_proto
    _name_axes(model, axes(predictor))
    for name, value in facts.items():
        model.metadata_props.add(key=f"engram.{name}", value=json.dumps(value, ensure_ascii=False))
    path.write_bytes(model.SerializeToString())
    if stepping.can_step(predictor):
        stepping.write(predictor, stepping.beside(path))


def distances(x1: Any, x2: Any, p: float, compute_mode: int) -> Any:
    """Return Euclidean distances (2, B, C) of points (2, B, R) from points (2, C, R), which torch leaves untranslated.

    In double precision, where the difference of large squares is exact enough.
    """
    from onnxscript import opset18 as op

    assert p == 2, "other distances are not in use"
    x1, x2 = op.Cast(x1, to=DOUBLE), op.Cast(x2, to=DOUBLE)
    last: Any = op.Constant(value_ints=[-1])
    own, other = op.ReduceSumSquare(x1, last, keepdims=1), op.ReduceSumSquare(x2, last, keepdims=1)
    product = op.MatMul(x1, op.Transpose(x2, perm=[0, 2, 1]))
    squares = op.Sub(op.Add(own, op.Transpose(other, perm=[0, 2, 1])), op.Add(product, product))
    return op.Cast(op.Sqrt(op.Relu(squares)), to=SINGLE)


def _name_axes(model: Any, names: list[dict[int, str]]) -> None:
    """Call axes that vary by their names throughout, where tracing has numbered them."""
    known: dict[str, str] = {}
    for value, own in zip(model.graph.input, names, strict=True):
        known |= {value.type.tensor_type.shape.dim[axis].dim_param: name for axis, name in own.items()}
    for value in (*model.graph.input, *model.graph.output, *model.graph.value_info):
        for dim in value.type.tensor_type.shape.dim:
            if dim.dim_param:
                dim.dim_param = re.sub(r"\w+", lambda found: known.get(found[0], found[0]), dim.dim_param)
