"""What a trained network lacks before it is delivered: true probabilities, and a sense of what it has not seen.

Shapes: N examples, B examples of a batch.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from engram.core.task import Task
from engram.data.examples import Examples
from engram.evaluate import calibration, unfamiliarity
from engram.evaluate.calibration import Calibration
from engram.predict.answering import BATCH_SIZE, hidden


def fit_delivered(
    task: Task, delivered: Any, examples: Examples, *, precision: str = "float32", batch_size: int = BATCH_SIZE
) -> Calibration | None:
    """Fill the buffers of an `engram.models.delivered.Delivered` that still has its initial ones.

    Calibrates on the validation rows; learns what is familiar from at most 10,000 training rows, and how far
    off is too far from the validation rows. Returns the calibration; None where the task's output is not logits,
    or there are no validation rows: then nothing is filled.
    """
    if task.calibration is None or not len(examples.splits.get("val", ())):
        return None
    target = next(iter(task.target))
    run: dict[str, Any] = {"precision": precision, "batch_size": batch_size}
    logits, hidden_ND, label = _pass(task, delivered, examples, examples.splits["val"], target, all_views=True, **run)
    fitted = calibration.fit(logits, label, kind=task.calibration)
    fitted.apply(delivered)
    if hidden_ND is not None:
        _, train_hidden_ND, train_label = _pass(
            task, delivered, examples, _some(examples.splits["train"]), target, all_views=False, **run
        )
        unfamiliarity.fit_spread(delivered, train_hidden_ND, train_label)
    unfamiliarity.fit_threshold(delivered, _distances(delivered, hidden_ND, logits))
    return fitted


def _some(rows: np.ndarray) -> np.ndarray:
    """At most as many rows as are needed, drawn without order, always the same."""
    return np.sort(np.random.default_rng(0).permutation(rows)[: unfamiliarity.MAX_ROWS])


def _pass(
    task: Task,
    delivered: Any,
    examples: Examples,
    rows: np.ndarray,
    target: str,
    *,
    all_views: bool,
    precision: str,
    batch_size: int,
) -> tuple[np.ndarray, np.ndarray | None, np.ndarray]:
    """Return (logits, last hidden layer if there is one, labels) of rows."""
    parts: list[tuple[Any, Any, Any]] = []
    for batch in examples.batches(rows, size=batch_size):
        output, hidden_BD = hidden(task, delivered, batch, all_views=all_views, precision=precision)
        parts.append((output, hidden_BD, getattr(batch, target)))
    logits, hiddens, labels = zip(*parts, strict=True)
    hidden_ND = torch.cat(hiddens).numpy() if hiddens[0] is not None else None
    return torch.cat(logits).numpy(), hidden_ND, torch.cat(labels).cpu().numpy()


def _distances(delivered: Any, hidden_ND: np.ndarray | None, logits_NC: np.ndarray) -> np.ndarray:
    """Return the distances (N,) of rows whose logits were not calibrated yet."""
    device = delivered.bias.device
    calibrated_NC = torch.from_numpy(logits_NC).to(device) / delivered.temperature + delivered.bias
    hidden = torch.from_numpy(hidden_ND).to(device) if hidden_ND is not None else None
    with torch.inference_mode():
        blocks = [
            delivered.distance(hidden[s : s + 1000] if hidden is not None else None, calibrated_NC[s : s + 1000])
            for s in range(0, len(calibrated_NC), 1000)
        ]
    return np.asarray(torch.cat(blocks).cpu())
