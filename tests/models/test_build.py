"""The door to networks: what a user's own code does wrong is told, not thrown."""

import pytest
from torch import nn

from engram.core.errors import ConfigError, RunError
from engram.core.rundir import RunDirectory
from engram.models import build

OFFERED = {"num_classes": 3, "input_shape": (1, 4, 4), "features": None}


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("import nothing_of_this_name\n", r"net\.py fails \(ModuleNotFoundError"),
        ("class Net(: pass\n", r"net\.py fails \(SyntaxError"),
        ("Net = 5\n", r"what makes one; got int \(5\)"),
        ("def Net(colour, num_classes): pass\n", r"'colour'\)\. It is given those of num_classes"),
        ("def Net(): raise RuntimeError('boom')\n", r"expected Net to make a network; it failed \(RuntimeError: boom"),
        ("def Net(): return 3\n", "expected the factory to give a torch.nn.Module; got int"),
        ("def Nett(): pass\n", "did you mean 'Nett'"),
    ],
)
def test_a_file_that_makes_no_network_is_told_why(tmp_path, source, said):
    (tmp_path / "net.py").write_text(source)
    with pytest.raises(ConfigError, match=said):
        build.from_user(f"{tmp_path / 'net.py'}:Net", offered=OFFERED)


def test_a_factory_is_given_what_it_names():
    network = build.from_user(lambda num_classes: nn.Linear(4, num_classes), offered=OFFERED)
    assert network.out_features == 3
    assert network.record["arguments"] == {"num_classes": 3}


def test_the_source_of_a_class_in_a_file_is_kept_and_builds_it_again(tmp_path):
    file = tmp_path / "net.py"
    file.write_text(
        "from torch import nn\nclass Net(nn.Linear):\n"
        "    def __init__(self, num_classes): super().__init__(4, num_classes)\n"
    )
    network = build.from_user(f"{file}:Net", offered=OFFERED)
    run = RunDirectory(tmp_path / "run").create()
    build.keep_source(network, run)
    file.unlink()
    with pytest.raises(RunError, match="trust_source=True"):
        build.from_record(network.record, run=run, shapes={})
    assert build.from_record(network.record, run=run, trust_source=True, shapes={}).out_features == 3
