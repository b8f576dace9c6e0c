"""A recorded program answers as its model does, to the last bit, or there is none."""

import dataclasses

import pytest
import tiny_run
import torch

from engram.models.delivered import Delivered, hidden_width
from engram.predict import program
from engram.predict.predictor import Predictor
from engram.tasks.image_classification import ImageClassification

TASK = ImageClassification()


class Convolutions(tiny_run.Net):
    """With what differs between training and answering, and what half precision changes."""

    def __init__(self):
        super().__init__()
        self.first = torch.nn.Sequential(torch.nn.Conv2d(1, 1, 3, padding=1), torch.nn.BatchNorm2d(1))

    def forward(self, x):
        return super().forward(self.first(x).float())


class ByValue(tiny_run.Net):
    def forward(self, x):
        return super().forward(x if x.max() > 100 else -x)


class ByNumber(tiny_run.Net):
    def forward(self, x):
        return super().forward(x if len(x) < 12 else -x)


@pytest.fixture(scope="module")
def data():
    return tiny_run.examples()


def predictor(network, data, **more):
    torch.manual_seed(0)
    made = Delivered(network(), num_outputs=4, num_hidden=hidden_width(network()), views=("plain", "mirror")).eval()
    tiny_run.fit(made, data)
    return Predictor(None, TASK, data.features, made, made.network, **more)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_program_answers_to_the_last_bit(data, precision, monkeypatch):
    plain = predictor(Convolutions, data, precision=precision)
    items = list(tiny_run.pictures(program.MOST + 1)[0])
    quick = plain.recorded(items[0])
    assert quick.program is not None
    assert quick.predict(items[:5]) == plain.predict(items[:5])
    assert quick.predict(items[:1]) == plain.predict(items[:1])
    unused = dataclasses.replace(quick.program, run=None)  # other options, and more examples, go to the model
    quick = dataclasses.replace(quick, program=unused)
    assert quick.predict(items) == plain.predict(items)
    assert quick.predict(items[:2], top=2) == plain.predict(items[:2], top=2)


@pytest.mark.parametrize("network", [ByValue, ByNumber])
def test_there_is_none_where_python_decides_by_what_it_sees(data, network):
    plain = predictor(network, data)
    assert plain.recorded(tiny_run.pictures(1)[0][0]).program is None
