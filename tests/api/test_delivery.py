"""What training says of an example, the run says again when it is asked, whatever the network."""

import numpy as np
import polars
import pytest
from torch import nn

import engram
from engram.api.delivery import KINDS
from engram.core.answers import Rankings, Tags


class NoLinear(nn.Module):
    def __init__(self, num_classes):
        super().__init__()
        self.convolution = nn.Conv2d(1, num_classes, 3)

    def forward(self, x):
        return self.convolution(x).amax((2, 3))


class Plain(nn.Module):
    """Takes nothing but pictures that lie plainly in memory, and shares weights between layers."""

    def __init__(self, num_classes):
        super().__init__()
        self.convolution = nn.Conv2d(1, 2, 3)
        self.one, self.other = nn.Linear(200, 200), nn.Linear(200, 200)
        self.other.weight = self.one.weight
        self.head = nn.Linear(200, num_classes)

    def forward(self, x):
        seen = self.convolution(x)
        return self.head(self.other(self.one(seen.view(len(x), -1)).relu()))


@pytest.mark.parametrize("factory", [NoLinear, Plain, None], ids=["no linear layer", "plain layout", "engram's own"])
def test_a_run_answers_as_training_scored_it(tmp_path, factory):
    random = np.random.default_rng(0)
    pictures = random.integers(0, 90, (80, 12, 12), dtype=np.uint8)
    for number, picture in enumerate(pictures):
        picture[: 3 + 4 * (number % 2)] = 200
    labels = ["few" if number % 2 == 0 else "many" for number in range(80)]
    engram.train((pictures, labels), out=tmp_path / "run", steps=4, model=factory, device="cpu")
    kept = polars.read_parquet(tmp_path / "run" / "predictions.parquet")
    answers = engram.load(tmp_path / "run", model=factory).predict(list(pictures[kept["row"].to_numpy()]))
    assert set(kept["split"]) == {"val", "test"}
    assert [answer["label"] for answer in answers] == kept["predicted"].to_list()
    said = [[answer["probability"], answer["unfamiliarity"]] for answer in answers]
    assert np.allclose(said, kept.select("probability", "unfamiliarity").to_numpy(), rtol=0.05, atol=0.05)


def test_a_kind_of_ones_own_is_delivered_as_the_kind_that_it_is_one_of():
    class Marks(Tags):
        pass

    assert [type(kind().among(KINDS)).__name__ for kind in (Marks, Rankings)] == ["LabelKind", "RankingKind"]
