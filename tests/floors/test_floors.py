"""Floors: they learn what they claim, give the network's output, and load into what they build."""

from types import SimpleNamespace

import pytest
import torch

from engram.core import registry
from engram.floors.linear_on_pixels import LinearOnPixels, PooledLinear
from engram.floors.majority_class import MajorityClass

NAMES = registry.names("engram.floors", base="floor")


def features(shape=(1, 8, 8), size=3):
    return SimpleNamespace(image=SimpleNamespace(shape=shape), label=SimpleNamespace(size=size))


def pictures(*, rows=300, shape=(1, 8, 8), size=3, several=False, seed=0):
    """Noise, with a bright row in the picture for each label."""
    generator = torch.Generator().manual_seed(seed)
    image = torch.randn(rows, *shape, generator=generator)
    if several:
        label = (torch.rand(rows, size, generator=generator) < 0.3).float()
    else:
        label = torch.randint(0, size, (rows,), generator=generator)
    hot = label if several else torch.nn.functional.one_hot(label, size).float()
    image[:, 0, :size] += hot[:, :, None]
    return image, label


def batches_of(image, label, size=64):
    def batches(*roles):
        for start in range(0, len(label), size):
            whole = {"image": image[start : start + size], "label": label[start : start + size]}
            yield SimpleNamespace(**{role: value for role, value in whole.items() if not roles or role in roles})

    return batches


@pytest.mark.parametrize("several", [False, True])
@pytest.mark.parametrize("name", NAMES)
def test_every_floor_gives_logits_and_loads_into_what_it_builds(name, several):
    floor = registry.find("engram.floors", name, base="floor")()
    image, label = pictures(several=several)
    fitted = floor.fit(batches_of(image, label), features(), seconds=5)
    built = floor.build(features())
    built.load_state_dict(fitted.state_dict())
    assert torch.equal(built(image), fitted(image))
    assert fitted(image).shape == (300, 3)
    again = floor.fit(batches_of(image, label), features(), seconds=5)
    assert torch.equal(again(image), fitted(image))


def test_majority_class_gives_the_frequencies():
    label = torch.tensor([0] * 70 + [1] * 20 + [2] * 10)
    module = MajorityClass().fit(batches_of(torch.zeros(100, 1, 8, 8), label), features(), seconds=1)
    probability = module(torch.zeros(2, 1, 8, 8)).softmax(1)
    assert torch.allclose(probability, torch.tensor([0.7, 0.2, 0.1]).expand(2, 3), atol=0.01)


def test_majority_class_of_several_labels_gives_each_ones_frequency():
    label = torch.tensor([[1.0, 0, 1]] * 30 + [[0.0, 0, 1]] * 70)
    module = MajorityClass().fit(batches_of(torch.zeros(100, 1, 8, 8), label), features(), seconds=1)
    assert torch.allclose(module(label)[0].sigmoid(), torch.tensor([0.3, 0.0, 1.0]), atol=0.01)


def test_linear_on_pixels_learns_what_single_pixels_say():
    module = LinearOnPixels().fit(batches_of(*pictures()), features(), seconds=10)
    image, label = pictures(seed=1, rows=1000)
    assert (module(image).argmax(1) == label).float().mean() > 0.9


def test_linear_on_pixels_learns_several_labels():
    module = LinearOnPixels().fit(batches_of(*pictures(several=True)), features(), seconds=10)
    image, label = pictures(seed=1, rows=1000, several=True)
    assert ((module(image) > 0) == (label > 0.5)).float().mean() > 0.9


def test_linear_on_pixels_is_held_back_where_examples_are_few():
    """More pixels than examples: without a ridge, held-out loss would be far above that of knowing nothing."""
    shape = (3, 30, 40)
    module = LinearOnPixels().fit(batches_of(*pictures(rows=40, shape=shape)), features(shape), seconds=10)
    image, label = pictures(seed=1, rows=500, shape=shape)
    loss = torch.nn.functional.cross_entropy(module(image), label)
    assert loss < 1.1


def test_large_pictures_are_averaged_down_in_their_own_proportions():
    module = PooledLinear((3, 224, 448), 5)
    assert module.linear.in_features <= 1024
    assert module.pool.output_size[1] == pytest.approx(2 * module.pool.output_size[0], abs=1)
    assert module(torch.zeros(2, 3, 224, 448)).shape == (2, 5)
    assert PooledLinear((1, 28, 28), 5).linear.in_features == 784


def test_more_rows_than_fit_are_thinned_evenly(monkeypatch):
    from engram.floors import linear_on_pixels

    monkeypatch.setattr(linear_on_pixels, "_MAX_VALUES", 64 * 100)
    image, label = torch.zeros(1000, 1, 8, 8), torch.arange(1000)
    kept_x, kept = linear_on_pixels._gather(batches_of(image, label), PooledLinear((1, 8, 8), 3), until=float("inf"))
    assert len(kept_x) == len(kept) <= 100
    assert len(set(kept.diff().tolist())) == 1


@pytest.mark.parametrize("rows", [1, 2, 7])
def test_a_handful_of_examples_is_enough_to_fit(rows):
    image, label = pictures(rows=rows)
    module = LinearOnPixels().fit(batches_of(image, label), features(), seconds=5)
    assert module(image).isfinite().all()
