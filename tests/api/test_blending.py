"""How much a network and a floor of tokens count: as their knowledge deserves, in what is delivered and scored."""

import json
import random
from pathlib import Path

import pytest
import torch

import engram
from engram.api.blending import shares
from engram.core.events import listening
from engram.models.token_blend import TokenBlend, blended

pytestmark = pytest.mark.slow


def test_shares_go_to_who_knows_and_are_those_of_the_least_loss() -> None:
    chance = torch.Generator().manual_seed(0)
    kind = torch.arange(4000) % 2
    network, floor = torch.rand(2, 4000, generator=chance) * 3
    network, floor = network + 2 * (kind == 0), floor + 2 * (kind == 1)  # each knows less of one kind
    found = shares(network, floor, kind, kinds=3)
    assert found[0] < 0.3 < 0.7 < found[1]
    least = blended(network, floor, found[kind]).mean()
    for change in (-0.1, 0.1):
        assert blended(network, floor, (found[kind] + change).clamp(0, 1)).mean() > least
    assert abs(float(found[2]) - 0.5) < 0.2, "a kind that was not seen is shared as all are together"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder, chance = tmp_path_factory.mktemp("blending"), random.Random(0)
    names = ["".join(chance.choices("abcdefghij", k=9)) for _ in range(40)]  # learned by heart sooner than learned
    text = "\n".join(f"{chance.choice(names)} met {chance.choice(names)}." for _ in range(3000))
    (folder / "text.txt").write_text(text)
    engram.train(folder / "text.txt", steps=20, out=folder / "run", device="cpu")
    return folder / "run"


def test_a_floor_that_knows_more_is_blended_in_and_scored_so(run: Path) -> None:
    facts = json.loads((run / "run.json").read_text())
    assert facts["competed"]["chosen"] == "blend" and facts["competed"]["share"] < 0.5
    scores = facts["results"]["test"]
    reached, network = (scores[part]["cross_entropy"]["value"] for part in ("metrics", "network"))
    floor = scores["floors"]["n_gram"]["cross_entropy"]["value"]
    assert reached < network and reached < floor + 0.02
    predictor = engram.load(run)
    assert isinstance(predictor.module, TokenBlend)
    again = engram.evaluate(run, run.parent / "text.txt", split="test")["metrics"]["cross_entropy"]["value"]
    assert abs(again - reached) < 0.02, "the run that is opened again answers as it was scored"


def test_it_writes_what_the_blend_says(run: Path) -> None:
    names = set((run.parent / "text.txt").read_text().replace(".", " ").split())
    written = str(engram.generate(run, "\n", temperature=0.5, max_tokens=400, seed=0)).replace(".", " ").split()[1:-1]
    assert sum(word in names for word in written) > 0.8 * len(written) > 20, "which the network alone cannot yet"


def test_an_export_says_that_it_leaves_the_floor_out(run: Path) -> None:
    said: list[str] = []
    with listening(lambda event: said.append(str(event.get("message", "")))):
        written = engram.export(run, to="torch")
    assert written.proof is not None and any("The network alone is exported" in message for message in said)
