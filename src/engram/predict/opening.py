"""Open a run: read its facts, features, network and weights, and check that they fit one another."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from engram.core.answers import Answers, Forecasts, Labels, Numbers, Rankings, Tokens
from engram.core.errors import EngramError, RunError
from engram.core.registry import find
from engram.core.rundir import RunDirectory
from engram.core.task import Task
from engram.data.examples import namespace
from engram.features import saved
from engram.features.feature import Feature
from engram.models import build
from engram.models.delivered import Delivered
from engram.models.delivered_forecast import DeliveredForecast
from engram.models.delivered_number import DeliveredNumber
from engram.models.delivered_ranking import DeliveredRanking
from engram.models.token_blend import TokenBlend

FLOORS = "floors.safetensors"
DELIVERED: Mapping[type[Answers], Any] = {
    Answers: Delivered,
    Labels: Delivered,
    Numbers: DeliveredNumber,
    Rankings: DeliveredRanking,
    Forecasts: DeliveredForecast,
    Tokens: TokenBlend,
}
"""What is delivered of a network, by the kind of its answers, where it is not the network alone."""

SHOWN = 4


@dataclass
class Opened:
    """facts: run.json. features: fitted, by role. module: with its weights, in evaluation mode, on the CPU.

    network: within the module, or the module itself.
    """

    facts: dict[str, Any]
    task: Task
    features: Mapping[str, Feature]
    module: nn.Module
    network: nn.Module


def open_run(
    run: RunDirectory,
    *,
    model: nn.Module | Callable[..., nn.Module] | str | None = None,
    trust_source: bool = False,
) -> Opened:
    """Read everything that answering needs; RunError where something is missing, damaged or does not fit."""
    facts = run.read_run()
    missing = [name for name in ("task", "network", "delivered") if name not in facts]
    if missing or facts.get("status") not in ("delivered", "done"):
        state = "its training has not ended" if facts.get("status") == "training" else "run.json is incomplete"
        raise RunError(
            f"expected a run that has been trained; {run} is not ({state}). Go on with it: engram train --resume {run}"
        )
    task = task_of(facts, run)
    features = saved.load(run)
    task.see(features)
    if lacking := [role for role in task.inputs if role not in features]:
        raise RunError(f"{run / saved.JSON} is damaged: it has no {' and no '.join(lacking)}. {saved.NEXT}")
    try:
        network = build.from_record(
            facts["network"],
            run=run,
            model=model,
            trust_source=trust_source,
            features=namespace(features),
            shapes=build.shapes(run.header("model.safetensors"), prefix="network." if facts["delivered"] else ""),
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise RunError(f"the network of {run} cannot be built from its record in run.json ({error}).") from None
    module = delivered(facts["delivered"], network, run, task=task, features=namespace(features))
    load_weights(module, run)
    if (facts.get("plan") or {}).get("channels_last", True):
        module.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # missing in torch's types
    return Opened(facts, task, features, module.eval(), network)


def task_of(facts: dict[str, Any], run: RunDirectory) -> Task:
    """Return the task a run was trained for; RunError where this installation has none of that name."""
    try:
        task: Task = find("engram.tasks", str(facts["task"]), base="task")()
    except EngramError as error:
        raise RunError(f"{run} was trained for a task that is not installed here: {error}") from None
    return task


def features_of(run: RunDirectory) -> dict[str, Feature]:
    """Return the fitted features of a run, by role; none where its task reads nothing by itself."""
    return saved.load(run) if (run / saved.JSON).exists() else {}


def delivered(record: Any, network: nn.Module, run: RunDirectory, *, task: Task, features: Any) -> nn.Module:
    """Build the delivered module around a network from its record in run.json; an empty one: the network alone."""
    if record == {}:
        return network
    floors = {floor.name: floor for floor in task.floors}
    try:
        kind = task.answers.among(DELIVERED)
        module: nn.Module = kind.rebuilt(record, network, lambda name: floors[name].build(features))
        return module
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise RunError(f"what {run / 'run.json'} says of the delivered model is damaged ({error}).") from None


def floors_of(run: RunDirectory, task: Task, features: Any) -> dict[str, nn.Module]:
    """Read the floors that training fitted. features: the fitted ones by role."""
    tensors = read_tensors(run, FLOORS)
    fitted = {name.partition("/")[0] for name in tensors}
    built = {}
    for floor in task.floors:
        if floor.name not in fitted:
            continue  # it needed what was not installed
        module = floor.build(namespace(features))
        prefix = floor.name + "/"
        try:
            module.load_state_dict({k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)})
        except RuntimeError as error:
            raise RunError(f"{run / FLOORS} does not fit the floor {floor.name} ({error}).") from None
        built[floor.name] = module.eval()
    return built


def load_weights(module: nn.Module, run: RunDirectory, name: str = "model.safetensors", *, prefix: str = "") -> None:
    """Load a module's state from the tensors of a file whose names begin with `prefix`.

    RunError names the tensors that are missing, unknown or of another shape.
    """
    found = read_tensors(run, name)
    saved_tensors = {key.removeprefix(prefix): value for key, value in found.items() if key.startswith(prefix)}
    own = module.state_dict(keep_vars=True)  # which leaves alone what has no size yet
    any_length = {
        f"{inner}.{key}".lstrip(".")
        for inner, part in module.named_modules()
        if getattr(part, "lengths_vary", False)
        for key, _ in part.named_buffers()
    }
    problems = [f"{key} is missing" for key in own if key not in saved_tensors]
    problems += [f"{key} is unknown" for key in saved_tensors if key not in own]
    problems += [
        f"{key} has shape {_shape(value)}, expected {_shape(own[key])}"
        for key, value in saved_tensors.items()
        if key in own
        and not is_lazy(own[key])
        and own[key].shape != value.shape
        and not (key in any_length and own[key].ndim == value.ndim)
    ]
    problems += [
        f"{key} holds what is no number"
        for key, _ in module.named_parameters()
        if key in saved_tensors and not torch.isfinite(saved_tensors[key]).all()
    ]
    if problems:
        shown = "; ".join(problems[:SHOWN]) + (f"; and {len(problems) - SHOWN} more" if len(problems) > SHOWN else "")
        raise RunError(
            f"the weights in {run / name} do not fit the network: {shown}. "
            "Open the run with the network it was trained with."
        )
    try:
        module.load_state_dict(saved_tensors)
    except RuntimeError as error:
        raise RunError(f"the weights in {run / name} do not fit the network ({error}).") from None


def read_tensors(run: RunDirectory, name: str) -> dict[str, Tensor]:
    """Read a safetensors file of the run, which holds numbers alone; RunError if it is missing or damaged."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return dict(load_file(run / name))
    except FileNotFoundError:
        raise RunError(f"{run} is incomplete: {name} is missing. Resume or repeat the training.") from None
    except SafetensorError as error:
        raise RunError(f"{run / name} is damaged ({error}). Resume or repeat the training.") from None


def _shape(tensor: Tensor) -> str:
    return "x".join(map(str, tensor.shape)) or "scalar"
