"""Run a model on a batch: the one way in which predicting, evaluating, serving and reports get answers.

Shapes: B examples, C outputs.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from engram.core.task import Batch, Task
from engram.models.delivered import Delivered

BATCH_SIZE = 256


def answer(
    task: Task, module: nn.Module, batch: Batch, *, options: Any = None, precision: str = "float32"
) -> tuple[Any, Tensor | None]:
    """Return (the task's raw output, the unfamiliarity (B,) if the module says it), both on the CPU.

    module: a delivered one, a floor, or a network, on any device; it should be in evaluation mode.
    options: the task's, None for its defaults. precision: "float32" or "bfloat16".
    """

    def call(model: nn.Module, inputs: Batch, chosen: Any) -> tuple[Any, Tensor | None]:
        if isinstance(model, Delivered) and task.calibration is not None:
            return model.watched(lambda delivered: task.predict(delivered, inputs, chosen))
        return task.predict(model, inputs, chosen), None

    return _run(call, task, module, batch, options=options, precision=precision)


def hidden(
    task: Task, delivered: Delivered, batch: Batch, *, all_views: bool = True, precision: str = "float32"
) -> tuple[Any, Tensor | None]:
    """Return (logits, the last hidden layer (B, D) or None), on the CPU.

    all_views: calibrated logits of the delivered module; otherwise the network's own, of the plain view alone.
    """

    def call(model: nn.Module, inputs: Batch, chosen: Any) -> tuple[Any, Tensor | None]:
        return delivered.hidden(lambda d: task.predict(d if all_views else delivered.network, inputs, chosen))

    return _run(call, task, delivered, batch, options=None, precision=precision)


def _run(
    call: Callable[[nn.Module, Batch, Any], tuple[Any, Tensor | None]],
    task: Task,
    module: nn.Module,
    batch: Batch,
    *,
    options: Any,
    precision: str,
) -> tuple[Any, Tensor | None]:
    """Call with the batch where the module is, without gradients, in the precision."""
    device = device_of(module)
    inputs = moved(batch, device)
    options = task.options() if options is None else options
    with torch.inference_mode(), torch.autocast(device.type, torch.bfloat16, enabled=precision == "bfloat16"):
        output, beside = call(module, inputs, options)
    return on_cpu(output), on_cpu(beside)


def device_of(module: nn.Module) -> torch.device:
    """Return where a module's numbers are; the CPU for one without any."""
    for tensor in [*module.parameters(), *module.buffers()]:
        return tensor.device
    return torch.device("cpu")


def moved(batch: Batch, device: torch.device) -> Batch:
    """Return the batch with every tensor on a device."""
    values = {name: value.to(device) if isinstance(value, Tensor) else value for name, value in vars(batch).items()}
    return Batch(**values)


def on_cpu(output: Any) -> Any:
    """Return a tensor on the CPU, half precision as float32; other outputs as they are."""
    if not isinstance(output, Tensor):
        return output
    return output.float().cpu() if output.is_floating_point() else output.cpu()
