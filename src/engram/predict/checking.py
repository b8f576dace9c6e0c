"""Open a run's folder, and refuse what could not be one of ours before torch is imported.

`RunDirectory.open` has seen that every file is plain and is the one that training wrote. A hostile run can be whole
in that sense: so here it is seen that what run.json says is of the right kind and agrees with the files.
"""

from __future__ import annotations

import math
import os
from pathlib import PurePath
from typing import Any

from engram.core import tensors
from engram.core.checkpoints import newest
from engram.core.errors import RunError
from engram.core.registry import names
from engram.core.rundir import RunDirectory
from engram.features import saved

KINDS: dict[str, tuple[type, ...]] = {
    "status": (str,),
    "task": (str,),
    "network": (dict,),
    "network.name": (str,),
    "network.arguments": (dict,),
    "network.factory": (str,),
    "network.source": (str,),
    "network.sha256": (str,),
    "delivered": (dict,),
    "delivered.views": (list,),
    "delivered.num_outputs": (int,),
    "delivered.num_hidden": (int,),
    "delivered.kinds": (int,),
    "data": (dict,),
    "data.fingerprint": (str,),
    "data.rows": (dict,),
    "options": (dict,),
    "options.data": (str, type(None)),
    "options.budget": (int, float, type(None)),
    "options.after": (int, float),
    "options.most_steps": (int,),
    "options.seed": (int,),
    "plan": (dict,),
    "plan.batch_size": (int,),
    "plan.micro_batch": (int,),
    "plan.steps": (int,),
    "plan.threads": (int,),
    "plan.seed": (int,),
    "plan.precision": (str,),
    "plan.device": (str,),
    "plan.channels_last": (bool,),
    "plan.optimizer": (dict,),
    "plan.views": (list,),
    "before_seconds": (int, float),
    "seconds": (int, float),
    "results": (dict,),
}
"""Fields of run.json, where they are there, and the kinds of value they may have."""

NEEDED_TO_RESUME = (
    *("status", "task", "network", "before_seconds", "data.fingerprint", "plan.optimizer", "plan.views"),
    *("plan.threads", "plan.seed", "options.data", "options.budget", "options.after", "options.most_steps"),
)
LIMITS = {"plan.threads": 4096, "plan.batch_size": 10**7, "plan.micro_batch": 10**7, "plan.steps": 10**12}
"""Numbers of a plan that must lie between 1 and these."""

LARGEST = 4096
"""Larger whole numbers than this build a network only where one of its tensors has such a side."""

MOST_NUMBERS = 256
"""A network is described by fewer numbers than this."""


def checked(run: RunDirectory | str | os.PathLike[str]) -> RunDirectory:
    """Open a run; RunError unless it is whole, harmless and agrees with itself. One that is open stays as it is."""
    if isinstance(run, RunDirectory):
        return run
    opened = RunDirectory.open(os.fspath(run))
    facts = opened.read_run()
    wrong = _wrong_kinds(facts) or _wrong_names(facts)
    if not wrong and "model.safetensors" in facts.get("files", {}):
        wrong = _wrong_network(facts, opened.header("model.safetensors")) or _wrong_numbers(opened, facts)
    if wrong:
        raise RunError(f"{opened} is no run that engram has written: {wrong}. Repeat the training.")
    if saved.JSON in facts.get("files", {}):
        saved.load(opened)
    return opened


def check_resumable(run: RunDirectory) -> None:
    """RunError where a run does not say what going on with it takes, or has checkpoints and none that is whole."""
    facts = run.read_run()
    missing = [path for path in NEEDED_TO_RESUME if _found(facts, path) is _NOTHING]
    limits = {path: _found(facts, path) for path in LIMITS}
    far_off = [path for path, value in limits.items() if value is not _NOTHING and not 1 <= value <= LIMITS[path]]
    if missing or far_off:
        wrong = f"{missing[0]} is missing" if missing else f"{far_off[0]} is {limits[far_off[0]]}"
        raise RunError(f"{run} cannot be gone on with: in run.json {wrong}. Repeat the training.")
    newest(run)


_NOTHING = object()


def _found(facts: dict[str, Any], path: str) -> Any:
    """The value of a field such as "plan.steps", where there is one."""
    *outer, last = path.split(".")
    for name in outer:
        facts = facts.get(name, {})
    return facts.get(last, _NOTHING)


def _wrong_kinds(facts: dict[str, Any]) -> str:
    """Say which field has a value of another kind; nothing where all are right."""
    for path, kinds in KINDS.items():
        value = _found(facts, path)
        if value is not _NOTHING and not (isinstance(value, kinds) and (type(value) is not bool or bool in kinds)):
            return f"{path} is {type(value).__name__}, not {' or '.join(kind.__name__ for kind in kinds)}"
    return ""


def _wrong_names(facts: dict[str, Any]) -> str:
    """Say which name is none of ours."""
    network = facts.get("network", {})
    if "task" in facts and facts["task"] not in (known := names("engram.tasks", base="task")):
        return f"its task {facts['task']!r} is not installed here, where there are {', '.join(known)}"
    if "name" in network and network["name"] not in (known := names("engram.models", base="build")):
        return f"its network {network['name']!r} is none of {', '.join(known)}"
    if network and "name" not in network and "factory" not in network:
        return "it does not say what its network is"
    if "source" in network and PurePath(network["source"].replace("\\", "/")).name != network["source"]:
        return f"the source of its network is {network['source']!r}, which leads elsewhere"
    return ""


def _wrong_network(facts: dict[str, Any], held: dict[str, tensors.Entry]) -> str:
    """Say which number of the network's description does not fit the tensors that are there."""
    sides = {side for entry in held.values() for side in entry.shape}
    numbers = list(_numbers(facts.get("network", {}).get("arguments", {}), sides))
    if len(numbers) > MOST_NUMBERS:
        return f"its network is described by {len(numbers)} numbers"
    for number in numbers:
        if not math.isfinite(number) or (isinstance(number, int) and abs(number) > LARGEST and number not in sides):
            return f"its network is described by {number}, which none of its tensors shows"
    record = facts.get("delivered", {})
    if not record:  # the bare network, which says nothing of itself
        return ""
    said = {("bias", 0): record.get("num_outputs"), ("hidden_whitening", 1): record.get("num_hidden")}
    if "kinds" in record:
        said = {("share", 0): record["kinds"]}
    for (name, axis), number in said.items():
        if name not in held or len(held[name].shape) <= axis or held[name].shape[axis] != number:
            return f"what is delivered does not fit the tensor {name}"
    return ""


def _numbers(value: Any, sides: set[int]) -> Any:
    """All numbers within lists and objects; of numbers that add up to a side, as those of categories do, it alone."""
    if isinstance(value, list) and all(type(n) is int and n > 0 for n in value) and sum(value) in sides:
        yield sum(value)
    elif isinstance(value, dict | list):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from _numbers(inner, sides)
    elif isinstance(value, int | float):
        yield value


def _wrong_numbers(run: RunDirectory, facts: dict[str, Any]) -> str:
    """Say which weights are no numbers. Networks of one's own may hold infinities (masks), engram's may not."""
    own = "name" not in facts.get("network", {})
    may_be_infinite = ("network." if facts.get("delivered") else "",) if own else ()
    for name in (n for n in ("model.safetensors", "floors.safetensors") if n in facts["files"]):
        for tensor, what in tensors.not_finite(run / name, run.header(name)).items():
            unset = tensor == "threshold"  # infinite where nothing is called unfamiliar
            if what == "NaN" or not (unset or tensor.startswith(may_be_infinite)):
                return f"{tensor} in {name} holds {what}"
    return ""
