"""The one door to networks: a name, an `nn.Module`, or a factory in a file of the user's.

Whatever comes in, a plain `nn.Module` comes out, with a record in JSON of how to build it again.
"""

from __future__ import annotations

import functools
import hashlib
import importlib.util
import inspect
import sys
import sysconfig
from collections.abc import Callable, Mapping
from importlib.abc import SourceLoader
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import nn

from engram.core import durable
from engram.core.errors import ConfigError, RunError, unknown
from engram.core.registry import find
from engram.core.rundir import RunDirectory

BASE = "build"
"""The file in `engram.models` that is no architecture, beside `delivered`."""


def named(name: str, **arguments: Any) -> nn.Module:
    """Build one of engram's architectures and note on it how that was done."""
    factory = find("engram.models", name, base=BASE)
    network: nn.Module = factory(**arguments)
    network.record = {"name": name, "arguments": _plain(arguments)}  # type: ignore[assignment]
    network.factory = factory
    return network


def from_user(model: nn.Module | Callable[..., nn.Module] | str, *, offered: dict[str, Any]) -> nn.Module:
    """Take a user's module, factory, or "net.py:MyNet".

    A factory is given those of `offered` (num_classes, input_shape, features) that its signature names.
    """
    factory: Callable[..., nn.Module]
    if isinstance(model, nn.Module):
        network, factory = model, type(model)
        record = {"factory": _name_of(factory), "arguments": {}, **_source_of(factory)}
    else:
        factory = factory_from_file(model) if isinstance(model, str) else model
        path = model.rpartition(":")[0] if isinstance(model, str) else None
        network, arguments = _made(factory, offered)
        record = {"factory": _name_of(factory), "arguments": _plain(arguments), **_source_of(factory, path)}
    if not isinstance(network, nn.Module):
        raise ConfigError(
            f"expected the factory to give a torch.nn.Module; got {type(network).__name__}. Return the network from it."
        )
    network.record = record  # type: ignore[assignment]
    network.factory = factory  # type: ignore[assignment]
    return network


def refuse_wrong(model: Any) -> None:
    """ConfigError for a model that is none of the three, or is not in the file named."""
    if isinstance(model, str):
        model = factory_from_file(model)
    if model is not None and not isinstance(model, nn.Module) and not callable(model):
        raise ConfigError(f"expected a torch.nn.Module or what makes one; got {type(model).__name__} ({model!r})")


def _made(factory: Callable[..., nn.Module], offered: dict[str, Any]) -> tuple[nn.Module, dict[str, Any]]:
    """Call a user's factory with what it names; ConfigError where it cannot be called or fails."""
    refuse_wrong(factory)
    parameters = inspect.signature(factory).parameters
    arguments = {name: value for name, value in offered.items() if name in parameters}
    try:
        return factory(**arguments), arguments
    except Exception as error:  # whatever the user's own code raises
        raise ConfigError(
            f"expected {_name_of(factory)} to make a network; it failed ({type(error).__name__}: {error}). It is given "
            f"those of {', '.join(offered)} that it names; parameters of other names need defaults."
        ) from error


def _name_of(factory: Callable[..., nn.Module]) -> str:
    return getattr(factory, "__name__", type(factory).__name__)


def factory_from_file(text: str) -> Callable[..., nn.Module]:
    """Import FILE and return its NAME, for "FILE:NAME". This runs the file: it is the user's own."""
    path, _, name = text.rpartition(":")
    if not path:
        raise ConfigError(f"expected a network as FILE:NAME, for example net.py:MyNet; got {text!r}")
    if not Path(path).is_file():
        raise ConfigError(f"expected a Python file with the network; there is no file {path!r}")
    return factory_from_source(Path(path).read_bytes(), path, name)


def factory_from_source(content: bytes, path: str, name: str) -> Callable[..., nn.Module]:
    """Run the source that stands in a file, and return its NAME."""
    module = _imported(str(Path(path).resolve()), content)
    if not hasattr(module, name):
        public = [key for key, value in vars(module).items() if callable(value) and not key.startswith("_")]
        raise unknown(f"network in {path}", name, public)
    return getattr(module, name)


@functools.cache
def _imported(path: str, content: bytes) -> ModuleType:
    """Run the source that stands in a file, once for each content, and return what it defines."""
    name = f"own_{Path(path).stem}_{hashlib.sha256(content).hexdigest()[:8]}"
    loader = _Loader(content, path)
    spec = importlib.util.spec_from_loader(name, loader, origin=path)
    assert spec is not None
    module = sys.modules[name] = importlib.util.module_from_spec(spec)  # where dataclasses look for their module
    try:
        loader.exec_module(module)
    except Exception as error:  # whatever the user's own file raises
        del sys.modules[name]
        raise ConfigError(
            f"expected a Python file that can be imported; {path} fails ({type(error).__name__}: {error}). Mend it."
        ) from error
    return module


class _Loader(SourceLoader):
    """Runs the very bytes that it is given; compiled files beside the source are neither read nor written."""

    def __init__(self, content: bytes, path: str) -> None:
        self.content = content
        self.path = path

    def get_filename(self, fullname: str) -> str:
        return self.path

    def get_data(self, path: str | bytes) -> bytes:
        return self.content


def from_record(
    record: dict[str, Any],
    *,
    run: RunDirectory,
    model: nn.Module | Callable[..., nn.Module] | str | None = None,
    trust_source: bool = False,
    features: Any = None,
    shapes: Mapping[str, tuple[int, ...]],
) -> nn.Module:
    """Build a run's network again, without weights. shapes: of the weights that are to be loaded into it.

    A user's own network is built only from the `model` handed over, or from the run's copy of its source
    where `trust_source` says that it may be executed.
    """
    if "name" in record:
        return _named_again(record, shapes, run)
    offered = {**record.get("arguments", {}), "features": features}
    if model is not None:
        return from_user(model, offered=offered)
    source = run / "source" / Path(str(record.get("source", ""))).name
    if not trust_source or not source.is_file():
        raise RunError(
            f"{run} holds a network of your own ({record.get('factory')}). Hand it over again "
            f"(model=..., or --model FILE:NAME)"
            + (", or allow the copy in the run to be executed with trust_source=True." if source.is_file() else ".")
        )
    content = source.read_bytes()
    if hashlib.sha256(content).hexdigest() != record.get("sha256"):
        raise RunError(f"{source} is not the file that the run was trained with (its SHA-256 differs).")
    return from_user(factory_from_source(content, str(source), str(record["factory"])), offered=offered)


def _named_again(record: dict[str, Any], expected: Mapping[str, tuple[int, ...]], run: RunDirectory) -> nn.Module:
    """Build one of engram's architectures, once it is seen, without taking memory, that the weights fit it."""
    try:
        with torch.device("meta"):
            found = shapes(named(record["name"], **record["arguments"]).state_dict())
    except Exception as error:  # whatever arguments that nobody has checked may lead to
        raise RunError(f"the network of {run} cannot be built from its record in run.json ({error}).") from None
    if found != expected:
        different = sorted({*found.items()} ^ {*expected.items()})[:4]
        raise RunError(
            f"the weights in {run} do not fit the network in run.json: {', '.join(name for name, _ in different)}. "
            "Resume or repeat the training."
        )
    return named(record["name"], **record["arguments"])


def shapes(tensors: Mapping[str, Any], *, prefix: str = "") -> dict[str, tuple[int, ...]]:
    """The shapes of the tensors whose names begin with `prefix`, by the rest of their names."""
    return {n.removeprefix(prefix): tuple(tensors[n].shape) for n in tensors if n.startswith(prefix)}


def keep_source(network: nn.Module, run: RunDirectory) -> None:
    """Copy the source of a user's network into the run, beside its record."""
    record: dict[str, Any] = network.record  # type: ignore[assignment]
    path = record.pop("path", None)
    if path:
        durable.make_folder(run / "source")
        run.write(f"source/{record['source']}", Path(path).read_bytes())


def _source_of(factory: Callable[..., Any], file: str | None = None) -> dict[str, Any]:
    """File name, path and SHA-256 of the source that defines a factory.

    Nothing where there is none to build it from again: what was typed in by hand (a notebook), a lambda or what is
    defined within a function, which no name finds, and a library's own. file: the source where it is known.
    """
    name = getattr(factory, "__qualname__", "<unnamed>")
    try:
        path = Path(file or inspect.getfile(factory))
        content = path.read_bytes()
    except (TypeError, OSError):
        return {}
    libraries = [sysconfig.get_path(kind) for kind in ("stdlib", "platlib", "purelib")]
    if file is None and ("<" in name or any(path.resolve().is_relative_to(folder) for folder in libraries)):
        return {}
    return {"source": path.name, "path": str(path), "sha256": hashlib.sha256(content).hexdigest()}


def _plain(arguments: dict[str, Any]) -> dict[str, Any]:
    """Arguments as JSON gives them back; features, which JSON cannot hold, are handed over again on load."""
    plain = {key: list(value) if isinstance(value, tuple) else value for key, value in arguments.items()}
    return {key: value for key, value in plain.items() if key != "features"}
