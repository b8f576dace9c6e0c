"""Source is gathered with all that it needs and without what only training uses."""

from __future__ import annotations

import ast
import importlib.util
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from engram.core.errors import ExportError
from engram.export.pruning import Pruning
from engram.export.source import Gathered, gather
from engram.models.conv_net import ConvNet

LAYER = '''"""A layer.

Shapes: B examples.
"""

import math

import torch
from torch import nn

SLOPE = 0.5
"""Of the line."""


def squashed(x):
    return torch.tanh(x) * SLOPE * math.pi


def unused(x):
    return nowhere_defined(x)


class Layer(nn.Module):
    """Squashes."""

    def forward(self, x):
        return squashed(x)
'''

NET = """from {layer} import Layer

from torch import nn


class Net(nn.Sequential):
    def __init__(self, number=2):
        super().__init__(*(Layer() for _ in range(number)))

    def extra_repr(self):
        return "mine"
"""


def imported(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None and spec.loader is not None
    module = sys.modules[path.stem] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def script(found: Gathered) -> str:
    return "\n".join([*found.import_lines(), *found.sections()])


def test_a_users_source_is_followed_through_files_and_runs_alone(tmp_path: Path) -> None:
    for name, text in {"own_layer_a": LAYER, "own_net_a": NET.format(layer="own_layer_a")}.items():
        (tmp_path / f"{name}.py").write_text(text, encoding="utf-8")
        module = imported(tmp_path / f"{name}.py")
    text = script(gather([module.Net]))
    assert "# A layer.\n#\n# Shapes: B examples." in text and '"""Of the line."""' in text
    assert "extra_repr" in text, "a user's source stays whole"
    assert "unused" not in text and "own_layer_a" not in text
    (tmp_path / "script.py").write_text(text + "\n\nimport torch\nprint(Net(3)(torch.ones(1)).item())\n", "utf-8")
    ended = subprocess.run([sys.executable, "-I", tmp_path / "script.py"], capture_output=True, text=True, check=True)
    assert 0 < float(ended.stdout) < 2


def test_engrams_own_source_comes_without_what_only_training_uses() -> None:
    text = script(gather([ConvNet]))
    for absent in ("engram", "initialise(self", "recipe", "_Convolution", "self.training", "bf16"):
        assert absent not in text, absent
    assert "class Whitening" in text and "the next convolution can scale" in text, "comments stay"
    assert text.index("class Whitening") < text.index("class ConvNet"), "what is needed comes first"
    ast.parse(text)


def test_pruning_says_which_lines_go() -> None:
    source = (
        "class A:\n    size = 3\n    def forward(self, x):\n        if self.training and x:\n            return 1\n"
        "        for name in x:\n            if name not in x:\n                raise ValueError\n"
        "        kept = 1 if self.training else 2\n        return kept\n    def spare(self):\n        return 1\n"
    )
    pruning = Pruning(used=set())
    tree = pruning.visit(ast.parse(source).body[0])
    assert pruning.removed == {2, 4, 5, 6, 7, 8, 11, 12}
    assert ast.unparse(tree).count("def ") == 1


def test_what_cannot_stand_in_one_script_is_refused(tmp_path: Path) -> None:
    (tmp_path / "own_b.py").write_text("class Net: ...\n", "utf-8")
    (tmp_path / "own_c.py").write_text("class Net: ...\n", "utf-8")
    both = [imported(tmp_path / f"own_{letter}.py").Net for letter in "bc"]
    with pytest.raises(ExportError, match="both define Net"):
        gather(both)

    class Inner:
        pass

    with pytest.raises(ExportError, match="at the top of a file"):
        gather([Inner])
