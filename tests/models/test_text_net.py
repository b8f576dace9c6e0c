"""The network for texts: what an exported graph of it does, which cannot ask how long a text is."""

from __future__ import annotations

import pytest
import torch
from torch.export import Dim

from engram.models.text_net import TextNet


@pytest.mark.parametrize("length", [2, 8, 30])
def test_an_exported_graph_reads_texts_of_any_length_as_far_as_the_network_does(length: int) -> None:
    torch.manual_seed(0)
    network = TextNet(vocabulary=30, num_classes=3, width=64, words=50, pieces=50, pairs=50, layers=1, longest=8).eval()
    sizes = {0: Dim("batch", min=1), 1: Dim("length", min=1)}
    with torch.no_grad():
        program = torch.export.export(
            network, (torch.randint(4, 30, (3, 12)),), dynamic_shapes=(sizes,), strict=False
        ).module()
        text_BT = torch.randint(4, 30, (2, length))
        assert torch.allclose(program(text_BT), network(text_BT), atol=1e-5)
