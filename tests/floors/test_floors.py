"""Floors: they learn what they claim, give the network's output, and load into what they build."""

from types import SimpleNamespace

import pytest
import torch

from engram.core import registry
from engram.core.vocabulary import BEGIN, NUM_SPECIAL
from engram.floors._gathering import gathered
from engram.floors.linear_on_pixels import LinearOnPixels, PooledLinear
from engram.floors.linear_on_text import LinearOnText
from engram.floors.majority_class import MajorityClass
from engram.tasks.image_classification import ImageClassification
from engram.tasks.image_tagging import ImageTagging
from engram.tasks.text_classification import TextClassification
from engram.tasks.text_tagging import TextTagging

LABELLING = (ImageClassification, ImageTagging, TextClassification, TextTagging)
NAMES = sorted({floor.name for task in LABELLING for floor in task.floors})
"""Floors that give logits of labels; those of other tasks are tested by themselves."""


LETTERS = "abcdefghijklmnopqrstuvwxyz "
TOKENIZER = SimpleNamespace(size=NUM_SPECIAL + len(LETTERS), decode=lambda ids: LETTERS[ids[0] - NUM_SPECIAL])


def features(shape=(1, 8, 8), size=3):
    text = SimpleNamespace(size=TOKENIZER.size, tokenizer=TOKENIZER)
    return SimpleNamespace(image=SimpleNamespace(shape=shape), text=text, label=SimpleNamespace(size=size))


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


def written(texts):
    """Texts as ids of letters."""
    text_BT = torch.zeros(len(texts), 1 + max(map(len, texts)), dtype=torch.int64)
    text_BT[:, 0] = BEGIN
    for row, text in zip(text_BT, texts, strict=True):
        row[1 : 1 + len(text)] = torch.tensor([NUM_SPECIAL + LETTERS.index(letter) for letter in text])
    return text_BT


def sentences(*, rows=300, several=False, seed=0):
    """Four words without meaning, and a telling one for each label, in any order and with any ending."""
    generator = torch.Generator().manual_seed(seed)
    _, label = pictures(rows=rows, several=several, seed=seed)
    hot = label.bool() if several else torch.nn.functional.one_hot(label, 3).bool()
    found = []
    for row in hot.tolist():
        said = [word for word, there in zip(("good", "poor", "fair"), row, strict=True) if there]
        endings = torch.randint(0, 26, (len(said),), generator=generator).tolist()
        said = [word + LETTERS[ending] for word, ending in zip(said, endings, strict=True)]
        words = [*said, "the", "tale", "of", "it"]
        found.append(" ".join(words[at] for at in torch.randperm(len(words), generator=generator).tolist()))
    return written(found), label


def ratings(*, rows, seed=0):
    """Eight words of praise or blame each, and about as many stars, of 0 to 4, as there is praise."""
    chance = torch.Generator().manual_seed(seed)
    praise_N8 = torch.rand(rows, 8, generator=chance) < torch.rand(rows, 1, generator=chance)
    stars = praise_N8.sum(1) / 2 + torch.randn(rows, generator=chance) / 2
    words = torch.randint(0, 26, (rows, 8), generator=chance).tolist()
    texts = [
        " ".join(("good" if praised else "poor") + LETTERS[letter] for praised, letter in zip(*row, strict=True))
        for row in zip(praise_N8.tolist(), words, strict=True)
    ]
    return written(texts), stars.round().clamp(0, 4).long()


def batches_of(image, label, size=64, role="image"):
    def batches(*roles):
        for start in range(0, len(label), size):
            whole = {role: image[start : start + size], "label": label[start : start + size]}
            yield SimpleNamespace(**{role: value for role, value in whole.items() if not roles or role in roles})

    return batches


READS = {"linear_on_text": ("text", sentences)}


@pytest.mark.parametrize("several", [False, True])
@pytest.mark.parametrize("name", NAMES)
def test_every_floor_gives_logits_and_loads_into_what_it_builds(name, several):
    floor = registry.find("engram.floors", name, base="floor")()
    role, made = READS.get(name, ("image", pictures))
    given, label = made(several=several)
    fitted = floor.fit(batches_of(given, label, role=role), features(), seconds=60)
    built = floor.build(features())
    built.load_state_dict(fitted.state_dict())
    assert torch.equal(built(given), fitted(given))
    assert fitted(given).shape == (300, 3)
    again = floor.fit(batches_of(given, label, role=role), features(), seconds=60)
    assert torch.equal(again(given), fitted(given))


@pytest.mark.parametrize("several", [False, True])
def test_linear_on_text_learns_words_and_knows_unseen_ones_by_their_pieces(several):
    given, label = sentences(several=several)
    module = LinearOnText().fit(batches_of(given, label, role="text"), features(), seconds=10)
    text, truth = sentences(several=several, seed=1, rows=1000)
    answer = module(text)
    right = ((answer > 0) == (truth > 0.5)) if several else answer.argmax(1) == truth
    assert right.float().mean() > 0.97


def test_linear_on_text_is_as_unsure_as_noise_demands():
    generator = torch.Generator().manual_seed(0)
    given, _ = sentences(rows=400)
    label = torch.randint(0, 3, (400,), generator=generator)
    module = LinearOnText().fit(batches_of(given, label, role="text"), features(), seconds=10)
    text, _ = sentences(rows=400, seed=1)
    loss = torch.nn.functional.cross_entropy(module(text), torch.randint(0, 3, (400,), generator=generator))
    assert loss < 1.3


def test_linear_on_text_learns_more_of_few_rows_where_it_knows_the_order_of_the_labels():
    off = {}
    for ordered in (False, True):
        scale = features(size=5)
        scale.label.ordered = ordered
        module = LinearOnText().fit(batches_of(*ratings(rows=150), role="text"), scale, seconds=10)
        text, stars = ratings(rows=1000, seed=1)
        off[ordered] = float((module(text).argmax(1) - stars).abs().float().mean())
    assert off[True] < 0.95 * off[False]


def test_linear_on_text_refits_with_its_choices_on_more_rows():
    given, label = sentences(rows=400)
    fitted = LinearOnText().fit(batches_of(given[:100], label[:100], role="text"), features(), seconds=10)
    again = LinearOnText().refit(fitted, batches_of(given, label, role="text"), features(), seconds=10)
    assert again.ridge.tolist() == fitted.ridge.tolist() != [0, 0]
    text, truth = sentences(seed=1, rows=1000)
    losses = [torch.nn.functional.cross_entropy(module(text), truth) for module in (fitted, again)]
    assert losses[1] < losses[0]


def test_a_word_counts_once_however_often_it_stands():
    given, label = sentences()
    module = LinearOnText().fit(batches_of(given, label, role="text"), features(), seconds=10)
    # Twice the same word, with or without one between, was never seen: it says nothing.
    once, often = module(written(["gooda gooda", "gooda gooda gooda gooda"])).tolist()
    assert often == pytest.approx(once, abs=1e-5)
    assert max(once) > 1


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


def test_more_rows_than_fit_are_thinned_evenly():
    image, label = torch.zeros(1000, 1, 8, 8), torch.arange(1000)
    take = PooledLinear((1, 8, 8), 3).pixels
    kept_x, kept = gathered(batches_of(image, label), "image", take=take, room=64 * 100, until=float("inf"))
    assert sum(map(len, kept_x)) == len(kept) <= 100
    assert len(set(kept.diff().tolist())) == 1


@pytest.mark.parametrize("rows", [1, 2, 7])
def test_a_handful_of_examples_is_enough_to_fit(rows):
    image, label = pictures(rows=rows)
    module = LinearOnPixels().fit(batches_of(image, label), features(), seconds=5)
    assert module(image).isfinite().all()
