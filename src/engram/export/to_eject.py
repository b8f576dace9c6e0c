"""Eject: a folder with the weights, their description and one script of plain PyTorch that answers without engram."""

from __future__ import annotations

import inspect
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors.torch import save_file
from torch import Tensor, nn

from engram.core.errors import ExportError
from engram.export import ejected, proof
from engram.export.exported import Exported
from engram.export.proof import Rows
from engram.export.source import Gathered, gather
from engram.export.tracing import exported
from engram.predict.predictor import Predictor

NUM_EXAMPLES = 32
"""Rows at most that the folder keeps with engram's answers, for the script to check itself by."""

HEAD = '''"""{title}

Written by {by}. It needs torch alone. Beside it lie its weights (model.safetensors), what it takes and answers
(model.json), and some examples. Run it to see that it answers as it did in engram:

    python model.py

or use it: load() gives the model. {takes}
"""

from __future__ import annotations

{imports}

FOLDER = Path(__file__).parent


{source}


# This model


def build() -> Exported:
    """Return the model without its weights."""
{build}


def load() -> Exported:
    """Return the model with its weights, in evaluation mode."""
    return filled(build(), FOLDER)


if __name__ == "__main__":
    check(load(), FOLDER)
'''


def write(predictor: Predictor, rows: Rows, path: Path, facts: dict[str, Any]) -> None:
    """Write the folder; ExportError where the network's source cannot stand by itself."""
    path.mkdir()
    module = exported(predictor)
    (path / "model.py").write_text(script(predictor, module, facts), encoding="utf-8")
    save_file(_separate(module.state_dict()), path / "model.safetensors")
    batch = max(proof.together(predictor, rows), key=len)[:NUM_EXAMPLES]
    given = proof.given(predictor, rows, batch)
    answers = proof.reference(predictor, rows, batch)
    examples = {f"given/{role}": value.contiguous() for role, value in given.items()}
    examples |= {f"answers/{name}": _tensor(value) for name, value in answers.items()}
    save_file(examples, path / "examples.safetensors")
    (path / "model.json").write_text(json.dumps(facts, ensure_ascii=False, indent=1), encoding="utf-8")


def script(predictor: Predictor, module: Exported, facts: Mapping[str, Any]) -> str:
    """Return the script: the source of all that the model is made of, and how it is put together."""
    building = Building(predictor)
    lines = building.lines(module)
    found = gather([Exported, *building.factories, ejected.filled, ejected.check])
    found.imports.add(("pathlib", "Path"))
    return HEAD.format(
        title=f"A model for {facts['task'].replace('_', ' ')}, in plain PyTorch.",
        by=facts["exported_by"],
        takes=_takes(predictor),
        imports=_imports(found),
        source="\n\n\n".join(found.sections()),
        build="\n".join("    " + line for line in lines),
    )


class Building:
    """Finds out how a model is put together, as lines of a function. factories: what they call."""

    def __init__(self, predictor: Predictor) -> None:
        self.predictor = predictor
        self.factories: list[Any] = []

    def lines(self, module: Exported) -> list[str]:
        """Build the network, what is delivered around it, and the exported module around that."""
        network = self.predictor.network
        lines = [f"network = {self._call(network.factory, _arguments(network))}"]
        model = "network"
        if module.model is not network:
            lines.append(f"delivered = {self._delivered(module.model)}")
            model = "delivered"
        encoders = [self._encoder(encoder) for encoder in module.encoders]
        return [*lines, f"return Exported({model}, [{', '.join(encoders)}], kind={_shown(module.kind)})"]

    def _delivered(self, delivered: nn.Module) -> str:
        arguments = dict(delivered.record())  # type: ignore[operator]
        floor = arguments.pop("floor", None)
        arguments.pop("share_of_network", None)
        shown = [f"{name}={_shown(value)}" for name, value in arguments.items()]
        if floor is not None:
            made: Any = delivered.floor
            shown += [f"floor={self._call(type(made), _arguments(made))}", f"floor_name={_shown(floor)}"]
        self.factories.append(type(delivered))
        return f"{type(delivered).__name__}(network, {', '.join(shown)})"

    def _encoder(self, encoder: nn.Module) -> str:
        if isinstance(encoder, nn.Identity):
            return "None"
        return self._call(type(encoder), _arguments(encoder))

    def _call(self, factory: Any, arguments: Mapping[str, Any]) -> str:
        if "features" in inspect.signature(factory).parameters:
            raise ExportError(
                f"expected a network that is built from numbers and names; {factory.__name__} is given features, which "
                "are engram's. Let it take input_shape and num_classes."
            )
        self.factories.append(factory)
        return f"{factory.__name__}({', '.join(f'{name}={_shown(value)}' for name, value in arguments.items())})"


def _arguments(module: nn.Module) -> Mapping[str, Any]:
    """What a module was built from; ExportError where it does not say."""
    record = getattr(module, "record", None)
    if not isinstance(record, dict) or "arguments" not in record:
        raise ExportError(
            f"expected {type(module).__name__} to say what it is built from (record, with its arguments); it does not, "
            "so that no script can build it. Export to another format."
        )
    arguments: Mapping[str, Any] = record["arguments"]
    return arguments


def _shown(value: Any) -> str:
    """A value as it is written in source, with the quotes that the rest of the script has."""
    text = repr(value)
    return text if '"' in text else text.replace("'", '"')


def _takes(predictor: Predictor) -> str:
    """Say what the model is called with."""
    said = []
    for role in predictor.task.graph_inputs:
        feature = predictor.features[role]
        said.append(f"{role} ({', '.join(['batch', *feature.varying.values()])}{', ...' if feature.graph() else ''})")
    return f"Call it with {', '.join(said)}; it returns a dictionary."


def _imports(found: Gathered) -> str:
    """Statements of import, the standard library first."""
    lines = found.import_lines()
    torch = [line for line in lines if line.split()[1].partition(".")[0] == "torch"]
    return "\n".join([*(line for line in lines if line not in torch), "", *torch])


def _separate(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Tensors laid out plainly, none sharing memory with another."""
    return {name: tensor.detach().clone().contiguous() for name, tensor in tensors.items()}


def _tensor(array: Any) -> Tensor:
    import torch

    return torch.from_numpy(array).contiguous()
