"""Fitted features in the run directory: features.json says what they are, features.safetensors holds their arrays.

Loading trusts nothing: a feature is found by its registered name alone, its configuration goes through its
constructor's checks, and its state through its own.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from engram.core.errors import EngramError, RunError
from engram.core.registry import find, names
from engram.features.feature import Feature

if TYPE_CHECKING:
    import numpy as np

    from engram.core.rundir import RunDirectory

PACKAGE, BASE = "engram.features", "feature"
JSON, ARRAYS = "features.json", "features.safetensors"
NEXT = "Resume or repeat the training."


def save(run: RunDirectory, features: Mapping[str, Feature], columns: Mapping[str, str]) -> None:
    """Write the fitted features of a run. columns: role -> name of the column that it was read from."""
    described: dict[str, Any] = {}
    arrays: dict[str, np.ndarray] = {}
    for role, feature in features.items():
        state, own_arrays = feature.state()
        described[role] = {
            "feature": feature.name,
            "version": feature.version,
            "config": feature.config(),
            "state": state,
            "columns": columns.get(role, role),
        }
        arrays.update({f"{role}/{name}": array for name, array in own_arrays.items()})
    run.write_arrays(ARRAYS, arrays)
    run.write_json(JSON, described)


def load(run: RunDirectory) -> dict[str, Feature]:
    """Read the fitted features of a run, by role. RunError if they are missing, damaged or of an unknown kind."""
    described = _described(run)
    arrays = run.read_arrays(ARRAYS)
    return {role: _load_one(run, role, entry, _of_role(arrays, role)) for role, entry in described.items()}


def load_columns(run: RunDirectory) -> dict[str, str]:
    """Read which column each role was read from."""
    return {role: str(entry.get("columns", role)) for role, entry in _described(run).items()}


def _described(run: RunDirectory) -> dict[str, dict[str, Any]]:
    described = run.read_json(JSON)
    if not isinstance(described, dict):
        raise RunError(f"{run / JSON} is damaged: expected features by role. {NEXT}")
    for role, entry in described.items():
        if not isinstance(entry, dict):
            raise RunError(f"{run / JSON} is damaged: expected an object for {role!r}. {NEXT}")
    return described


def _of_role(arrays: Mapping[str, np.ndarray], role: str) -> dict[str, np.ndarray]:
    prefix = role + "/"
    return {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}


def _load_one(run: RunDirectory, role: str, entry: dict[str, Any], arrays: dict[str, np.ndarray]) -> Feature:
    where = f"the feature of {role!r} in {run / JSON}"
    name, config, state = entry.get("feature"), entry.get("config", {}), entry.get("state", {})
    if name not in (known := names(PACKAGE, base=BASE)):
        raise RunError(
            f"{where} is of an unknown kind {name!r}. There are: {', '.join(known)}. "
            "Install the package it comes from, or update engram."
        )
    if not isinstance(config, dict) or not isinstance(state, dict):
        raise RunError(f"{where} is damaged: expected objects for config and state. {NEXT}")
    kind = find(PACKAGE, name, base=BASE)
    if entry.get("version", 1) != kind.version:
        raise RunError(
            f"{where} has version {entry.get('version')!r}, not {kind.version}. Train again to use this run."
        )
    if unknown := set(config) - set(inspect.signature(kind).parameters):
        raise RunError(f"{where} is damaged: it has no setting {sorted(unknown)[0]!r}. {NEXT}")
    try:
        feature: Feature = kind(**config)
        feature.load_state(state, arrays)
    except EngramError as error:
        raise RunError(f"{where} is damaged: {error}") from None
    except (TypeError, ValueError, KeyError, AttributeError) as error:
        raise RunError(f"{where} is damaged ({error}). {NEXT}") from None
    return feature
