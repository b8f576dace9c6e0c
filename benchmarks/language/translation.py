"""Translation: BLEU of each direction at a budget, seconds for a thousand lines, and training tokens a second.

BLEU is counted by sacrebleu itself, on what `engram predict` writes for the source lines of the test set. Tokens a
second are those of real lines, padding not counted: engram's engine, and a plain loop around PyTorch's own transformer
of the same size, which pads random lines to the longest of each batch; both in bfloat16 where the machine has units
for it.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional

TEST = "test_2016_flickr"
STEPS = 12
BATCH = 256


@dataclass(frozen=True)
class Case:
    """A direction of multi30k. target: BLEU to reach."""

    source: str
    target_language: str
    budget: str
    target: float | None


CASES = {
    "en_de_25m": Case("en", "de", "25m", 37.0),
    "de_en_25m": Case("de", "en", "25m", 38.0),
    "en_fr_25m": Case("en", "fr", "25m", None),
    "en_de_10m": Case("en", "de", "10m", None),
}
THROUGHPUT = "throughput"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What may be asked for."""
    parser.add_argument("data", type=Path, help="a folder that holds multi30k/")
    parser.add_argument("cases", nargs="*", choices=[[], *CASES, THROUGHPUT], help="which (default: all)")
    parser.add_argument("--seeds", type=int, default=1)


def rows(arguments: argparse.Namespace, machine_speed: Callable[[], float]) -> Iterator[dict[str, object]]:
    """Train and score, one row a training; then tokens a second, one row a way of training."""
    folder = arguments.data / "multi30k"
    for name in arguments.cases or [*CASES, THROUGHPUT]:
        if name == THROUGHPUT:
            yield from throughput(folder, machine_speed)
            continue
        case = CASES[name]
        for seed in range(arguments.seeds):
            before = round(machine_speed(), 2)
            row = {"case": name, "part": TEST, "seed": seed, "budget": case.budget, "target": case.target}
            row |= train(folder, case, seed=seed)
            yield {**row, "tflops_before": before, "tflops_after": round(machine_speed(), 2)}


def train(folder: Path, case: Case, *, seed: int) -> dict[str, object]:
    """Train once through the command line, and translate the test set as a filter would."""
    import sacrebleu

    with tempfile.TemporaryDirectory() as place:
        run = Path(place) / "run"
        direction = ["--source", case.source, "--target", case.target_language]
        command = [sys.executable, "-m", "engram", "train", str(folder), *direction, "--budget", case.budget]
        began = time.monotonic()
        finished = subprocess.run(
            [*command, "--seed", str(seed), "--out", str(run), "--json"], capture_output=True, text=True
        )
        seconds = time.monotonic() - began
        if finished.returncode:
            raise SystemExit(f"{' '.join(command)} failed:\n{finished.stderr}")
        done = json.loads(finished.stdout.splitlines()[-1])
        began = time.monotonic()
        translated = translate(run, folder / f"{TEST}.{case.source}")
        writing = time.monotonic() - began
    references = (folder / f"{TEST}.{case.target_language}").read_text(encoding="utf-8").split("\n")[:-1]
    bleu = sacrebleu.BLEU().corpus_score(translated, [references])
    print(f"{bleu}; {len(references):,} lines translated in {writing:.1f} s", file=sys.stderr)
    return {
        "metric": "bleu", "value": round(bleu.score, 2),
        "low": round(done["metrics"]["bleu"]["low"], 2), "high": round(done["metrics"]["bleu"]["high"], 2),
        "floor": round(done["floors"]["nearest_source"]["bleu"]["value"], 2),
        "seconds": round(seconds, 2), "predicted_seconds": done["predicted_seconds"],
    }  # fmt: skip


def translate(run: Path, source: Path) -> list[str]:
    """Translate a file of lines with beam 4."""
    command = [sys.executable, "-m", "engram", "predict", str(run), "-", "--beam", "4"]
    with open(source, "rb") as lines:
        finished = subprocess.run(command, stdin=lines, capture_output=True, check=True)
    return finished.stdout.decode().split("\n")[:-1]


def throughput(folder: Path, machine_speed: Callable[[], float]) -> Iterator[dict[str, object]]:
    """Tokens of sources and targets a second, of both ways to train."""
    from engram.api.reading import read
    from engram.api.requests import DataRequest
    from engram.models.encoder_decoder import SIZES

    languages = {name: (folder / f"train.{name}").read_text(encoding="utf-8").split("\n")[:-1] for name in ("en", "de")}
    reading = read(languages, DataRequest(task="translation", input="en", target="de"))
    number = reading.examples.lengths(reading.examples.splits["train"])
    assert number is not None
    ways = {"engram": _engine(reading), "plain_pytorch": _plain(reading, **SIZES["medium"])}
    for name, step in ways.items():
        before = round(machine_speed(), 2)
        step(0)
        began = time.perf_counter()
        tokens = sum(step(at) for at in range(1, STEPS + 1))
        value = tokens / (time.perf_counter() - began)
        yield {
            "case": THROUGHPUT, "part": name, "metric": "tokens_per_second", "value": round(value),
            "tflops_before": before, "tflops_after": round(machine_speed(), 2),
        }  # fmt: skip


def _engine(reading: object) -> Callable[[int], int]:
    """A step of engram's engine with the medium network; returns its tokens."""
    from engram.data.examples import namespace
    from engram.data.order import positions
    from engram.train import loop, precision
    from engram.train.plan import Plan
    from engram.train.trainer import Trainer

    examples, task = reading.examples, reading.task
    plan = Plan(batch_size=BATCH, micro_batch=BATCH, steps=10**6)
    plan.precision, _ = precision.choose_precision(torch.device("cpu"))
    network = task.model("medium", namespace(examples.features))
    for name, value in network.recipe.items():
        plan.explain(name, value, "")
    trainer, train = Trainer(task, network, examples, plan), examples.splits["train"]

    def step(at: int) -> int:
        chosen, _ = positions(trainer.pace.step, batch_size=BATCH, count=len(train), seed=plan.seed)
        loop.take_step(trainer)
        return int(examples.lengths(train[chosen]).sum())

    return step


class Padded(nn.Module):
    """PyTorch's own transformer, with learned positions and a tied head."""

    def __init__(self, num_ids: int, *, width: int, heads: int, encoder_layers: int, decoder_layers: int) -> None:
        super().__init__()
        self.embedding, self.position = nn.Embedding(num_ids, width), nn.Embedding(512, width)
        self.transformer = nn.Transformer(
            width, heads, encoder_layers, decoder_layers, 4 * width, 0.1, batch_first=True, norm_first=True
        )

    def forward(self, source: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        def embedded(ids: torch.Tensor) -> torch.Tensor:
            return self.embedding(ids) + self.position.weight[: ids.shape[1]]

        causal = nn.Transformer.generate_square_subsequent_mask(target.shape[1])
        found = self.transformer(
            embedded(source), embedded(target), tgt_mask=causal, tgt_is_causal=True,
            src_key_padding_mask=source == 0, memory_key_padding_mask=source == 0,
        )  # fmt: skip
        return found @ self.embedding.weight.T


def _plain(reading: object, **size: int) -> Callable[[int], int]:
    """A step of the loop that one writes by hand; returns its tokens."""
    examples = reading.examples
    torch.manual_seed(0)
    network = Padded(examples.features["target"].size, **size)
    optimizer = torch.optim.AdamW(network.parameters(), lr=5e-4, fused=True)
    train = examples.splits["train"]
    order = np.random.default_rng(0).permutation(train)

    def step(at: int) -> int:
        rows = np.take(order, np.arange(at * BATCH, (at + 1) * BATCH), mode="wrap")
        batch = examples.batch(rows)
        with torch.autocast("cpu", torch.bfloat16):
            logits = network(batch.source, batch.target[:, :-1])
            loss = functional.cross_entropy(
                logits.float().flatten(0, 1), batch.target[:, 1:].flatten(), ignore_index=0, label_smoothing=0.1
            )
        loss.backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        return int(examples.lengths(rows).sum())

    return step
