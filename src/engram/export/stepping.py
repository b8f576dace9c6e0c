"""Generation as a graph of one step: ids, and keys and values of those before, in; logits, and more of both, out.

The loop around it, and the drawing, are left to whoever runs it. It is written beside the graph of whole texts, for
networks that can go on from what they have read (`step`).

Shapes: B texts, T ids (S before them), L layers, H heads, K width of a head, V ids of the vocabulary.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.export import Dim

from engram.core.vocabulary import PADDING
from engram.export import proof
from engram.export.proof import Rows
from engram.export.tracing import quiet, refused
from engram.predict.predictor import Predictor

DESCRIPTION = {
    "inputs": {
        "text": "ids that follow, 64 bits, (batch, length)",
        "past": "keys and values of those before, (layers, 2, batch, heads, positions, width); at first of 0 positions",
    },
    "outputs": {
        "output": "logits of the id after each, (batch, length, vocabulary)",
        "present": "keys and values of all: the next past",
    },
}


class Stepping(nn.Module):
    """Calls a network's step."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, text_BT: Tensor, past_L2BHSK: Tensor) -> tuple[Tensor, Tensor]:
        """Return logits (B, T, V), and keys and values (L, 2, B, H, S + T, K)."""
        found: tuple[Tensor, Tensor] = self.network.step(text_BT, past_L2BHSK)  # type: ignore[operator]
        return found


def can_step(predictor: Predictor) -> bool:
    """Whether a run writes, with a network that goes on from what it has read."""
    return predictor.task.answers.sampling is not None and hasattr(predictor.network, "step")


def beside(path: Path) -> Path:
    """Where the graph of a step lies: model.onnx -> model.step.onnx."""
    return path.with_name(f"{path.stem}.step{path.suffix}")


def write(predictor: Predictor, path: Path) -> None:
    """Write the graph; ExportError where the network has none."""
    batch, length, past = Dim("batch", min=1), Dim("length", min=1), Dim("past", min=0)
    made: Any = predictor.network.caches(2)  # type: ignore[operator]
    layers, (heads, width) = len(made), (made[0].keys.shape[1], made[0].keys.shape[3])
    example = torch.full((2, 3), 4), torch.zeros(layers, 2, 2, heads, 5, width)
    try:
        with quiet(), torch.no_grad():
            program = torch.export.export(
                Stepping(predictor.network).eval(),
                example,
                dynamic_shapes=({0: batch, 1: length}, {2: batch, 4: past}),
                strict=False,
            )
            found = torch.onnx.export(
                program, input_names=["text", "past"], output_names=["output", "present"], external_data=False,
                verbose=False,
            )  # fmt: skip
    except Exception as error:  # whatever the user's own code, or torch, raises
        raise refused(error) from error
    assert found is not None, "without a file named, the program is returned"
    path.write_bytes(found.model_proto.SerializeToString())


def prove(predictor: Predictor, path: Path, rows: Rows) -> float:
    """Read rows step by step, apart, and compare with the network; return the largest difference. ExportError as for
    whole texts.
    """
    batches = proof.together(predictor, rows)
    texts = [proof.given(predictor, rows, batch)["text"] for batch in batches]
    got = proof.run_apart("step", path, [{"text": text} for text in texts])
    largest = 0.0
    for batch, text, answers in zip(batches, texts, got, strict=True):
        with torch.inference_mode():
            wanted = predictor.network(text).float().numpy()
        there_BT1 = (text.numpy() != PADDING)[:, :, None]  # what is read of padding says nothing
        said = np.where(there_BT1, answers["output"], wanted)
        largest = max(largest, proof.compared("logits of steps", said, wanted, [rows.where[row] for row in batch]))
    return largest
