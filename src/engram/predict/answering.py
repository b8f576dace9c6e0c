"""Run a model on a batch: the one way in which predicting, evaluating, serving and reports get answers.

Shapes: B examples, C outputs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from engram.core.task import Batch, Task, with_tensors
from engram.features.feature import Feature
from engram.models.delivered import Delivered

BATCH_SIZE = 256


def answer(
    task: Task, module: nn.Module, batch: Batch, *, options: Any = None, precision: str = "float32"
) -> tuple[Any, Tensor | None]:
    """Return (the task's raw output, the unfamiliarity (B,) if the module says it), both on the CPU.

    module: a delivered one, a floor, or a network, on any device; it should be in evaluation mode.
    options: the task's, None for its defaults. precision: "float32" or "bfloat16".
    """
    options = task.options() if options is None else options
    return output_of(lambda model, inputs: task.predict(model, inputs, options), task, module, batch, precision)


def output_of(
    call: Callable[[nn.Module, Batch], Any], task: Task, module: nn.Module, batch: Batch, precision: str = "float32"
) -> tuple[Any, Tensor | None]:
    """The same of anything that a task does with a model and a batch; see `answer`."""
    device = device_of(module)
    inputs = moved(batch, module)
    with torch.inference_mode(), torch.autocast(device.type, torch.bfloat16, enabled=precision == "bfloat16"):
        if isinstance(module, Delivered) and task.answers.calibration is not None:
            output, unfamiliarity_B = module.watched(lambda model: call(model, inputs))
            return on_cpu(output), on_cpu(unfamiliarity_B)
        return on_cpu(call(module, inputs)), None


def hidden_of(task: Task, module: nn.Module, batch: Batch) -> Tensor | None:
    """Return what the last hidden layer makes of a batch (B, D), on the CPU; None where no such layer is watched."""
    if not isinstance(module, Delivered):
        return None
    inputs = moved(batch, module)
    with torch.inference_mode():
        _, hidden_BD = module.hidden(lambda model: task.predict(model, inputs, task.options()))
    return None if hidden_BD is None else hidden_BD.float().cpu()


def class_names(task: Task, features: Mapping[str, Feature]) -> Sequence[str]:
    """The classes that a task's answers are among; none where they are no classes."""
    return getattr(features.get(next(iter(task.target), "")), "names", ())


def device_of(module: nn.Module) -> torch.device:
    """Return where a module's numbers are; the CPU for one without any."""
    for tensor in [*module.parameters(), *module.buffers()]:
        return tensor.device
    return torch.device("cpu")


def moved(batch: Batch, module: nn.Module) -> Batch:
    """Return the batch where a module's numbers are, pictures laid out as its filters are (some take no other)."""
    return batch.to(device_of(module), channels_last=filters_last(module))


def filters_last(module: nn.Module) -> bool:
    """Whether filters are laid out in memory with their channels last."""
    return any(p.ndim == 4 and not p.is_contiguous() for p in module.parameters())


def on_cpu(output: Any) -> Any:
    """Return an output with its tensors on the CPU, half precision as float32."""
    return with_tensors(output, lambda tensor: (tensor.float() if tensor.is_floating_point() else tensor).cpu())
