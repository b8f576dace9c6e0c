"""What is delivered: views, hidden activations, unfamiliarity, export."""

import copy
import threading

import pytest
import torch
from torch import nn

from engram.core.errors import ConfigError
from engram.models.delivered import VIEWS, Delivered, NetworkAlone, hidden_width, look, view_weights


class Net(nn.Module):
    def __init__(self, num_classes=3):
        super().__init__()
        self.convolution = nn.Conv2d(1, 4, 3, padding=1)
        self.head = nn.Linear(4, num_classes)

    def forward(self, x):
        return self.head(self.convolution(x).relu().mean((2, 3)))


def delivered(views=("plain",), network=None):
    torch.manual_seed(0)
    network = network or Net()
    return Delivered(network, num_outputs=3, num_hidden=hidden_width(network), views=views).eval()


def test_unfilled_it_changes_nothing():
    module, x = delivered(), torch.randn(5, 1, 8, 8)
    assert torch.allclose(module(x), module.network(x))
    _, unfamiliarity = module.watched(lambda m: m(x))
    assert (unfamiliarity <= 1).all()


def test_temperature_and_bias_are_applied():
    module, x = delivered(), torch.randn(5, 1, 8, 8)
    module.temperature.fill_(2.0)
    module.bias.copy_(torch.tensor([1.0, 0, 0]))
    assert torch.allclose(module(x), module.network(x) / 2 + torch.tensor([1.0, 0, 0]))


def test_views_move_and_mirror():
    x = torch.arange(16.0).reshape(1, 1, 4, 4)
    (mirrored,), (up_left,) = look("mirror", (x,)), look("up-left", (x,))
    assert mirrored[0, 0, 0].tolist() == [3, 2, 1, 0]
    assert up_left[0, 0].tolist() == [[5, 6, 7, 7], [9, 10, 11, 11], [13, 14, 15, 15], [13, 14, 15, 15]]
    assert look("down-right", (x,))[0][0, 0, 0].tolist() == [0, 0, 1, 2]
    assert torch.equal(look("mirror-up-left", (x,))[0], look("up-left", (mirrored,))[0])
    assert look("mirror", (torch.ones(2, 3),))[0].shape == (2, 3)


def test_the_answer_is_the_weighted_mean_over_views():
    module, x = delivered(VIEWS), torch.randn(5, 1, 8, 8)
    weights = [1 / 4, 1 / 4, 1 / 8, 1 / 8, 1 / 8, 1 / 8]
    assert view_weights(VIEWS) == pytest.approx(weights)
    expected = sum(w * module.network(*look(v, (x,))) for v, w in zip(VIEWS, weights, strict=True))
    assert torch.allclose(module(x), expected, atol=1e-6)


def test_an_unknown_view_is_refused_with_the_nearest():
    with pytest.raises(ConfigError, match="mirror"):
        view_weights(("plain", "miror"))


def test_hidden_is_that_of_the_first_view_and_of_the_thread_that_asks():
    module = delivered(VIEWS)
    inputs = [torch.randn(3, 1, 8, 8) for _ in range(8)]
    expected = [module.network.convolution(x).relu().mean((2, 3)) for x in inputs]
    got = {}

    def ask(number):
        for _ in range(20):
            got[number] = module.hidden(lambda m: m(inputs[number]))[1]

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(len(inputs))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for number, hidden in enumerate(expected):
        assert torch.allclose(got[number], hidden, atol=1e-6)


def test_a_network_without_a_linear_layer_is_judged_by_its_logits():
    network = nn.Sequential(nn.Conv2d(1, 3, 8), nn.Flatten())
    module, x = delivered(network=network), torch.randn(5, 1, 8, 8)
    logits, hidden = module.hidden(lambda m: m(x))
    assert hidden is None
    assert torch.equal(module.distance(None, logits), -logits.amax(1))


def test_its_record_builds_it_again_and_its_state_fits():
    module = delivered(("plain", "mirror"))
    again = Delivered(Net(), **module.record())
    again.load_state_dict(module.state_dict())
    x = torch.randn(2, 1, 8, 8)
    assert torch.equal(again.eval()(x), module(x))
    assert torch.equal(copy.deepcopy(module)(x), module(x))


def test_it_can_be_exported_with_all_views():
    module, x = delivered(VIEWS), torch.randn(2, 1, 8, 8)
    program = torch.export.export(module, (x,), dynamic_shapes=(({0: torch.export.Dim("batch", min=1, max=64)},),))
    more = torch.randn(7, 1, 8, 8)
    assert torch.allclose(program.module()(more), module(more), atol=1e-6)


def test_a_flattened_picture_is_too_wide_to_be_judged_by():
    network = nn.Sequential(nn.Flatten(), nn.Linear(100 * 100, 3))
    assert hidden_width(network) == 0
    module, x = delivered(network=network), torch.randn(2, 1, 100, 100)
    assert module.hidden(lambda m: m(x))[1] is None


@pytest.mark.parametrize("channels", [1, 3])
def test_every_view_can_be_flattened_as_the_picture_itself_can(channels):
    class Flat(nn.Module):
        def forward(self, x):
            return x.view(len(x), -1)[:, :2]

    delivered = Delivered(Flat(), num_outputs=2, num_hidden=0, views=VIEWS)
    assert delivered(torch.rand(4, channels, 8, 8)).shape == (4, 2)


def test_a_floor_counts_by_its_share_each_at_its_temperature():
    module, floor, x = delivered(), Net(), torch.randn(5, 1, 8, 8)
    alone = module(x)
    module.blend(floor, "net", share=0.25, temperatures=(2.0, 0.5))
    module.bias.copy_(torch.tensor([1.0, 0, 0]))
    expected = 0.25 * module.network(x) / 2 + 0.75 * floor(x) / 0.5 + torch.tensor([1.0, 0, 0])
    assert torch.allclose(module(x), expected, atol=1e-6)
    assert torch.allclose(NetworkAlone(module)(x), alone / 2, atol=1e-6)
    assert module.record()["floor"] == "net"


def test_what_a_blend_learned_is_saved_with_it():
    module, again, x = delivered(), delivered(network=Net()), torch.randn(5, 1, 8, 8)
    module.blend(Net(), "net", share=0.25, temperatures=(2.0, 0.5))
    again.blend(Net(), "net")
    again.load_state_dict(module.state_dict())
    assert torch.equal(again(x), module(x))
