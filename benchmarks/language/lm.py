"""Language models: loss on text not seen at a budget, beside nanoGPT; perplexity of conversations; characters a second.

The first 90 % of the characters of tiny_shakespeare are learned from (engram sets its validation text aside from
them), the last 10 % are scored, in nats a character. nanoGPT (github.com/karpathy/nanoGPT) is run from a checkout of
one's own by its own `train.py`, as its README says for CPUs and as its full configuration says, for as many steps as
fit into the budget; the clock stands still while it is scored. It is given what helps it: its schedule is fitted to
those steps, and it learns from all 90 %.
"""

from __future__ import annotations

import argparse
import json
import pickle
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

LEARNED = 0.9
WRITTEN = 3000
"""Characters written to measure how fast that is."""

NANOGPT = {
    "cpu": {"block_size": 64, "batch_size": 12, "n_layer": 4, "n_head": 4, "n_embd": 128, "dropout": 0.0},
    "full": {"block_size": 256, "batch_size": 64, "n_layer": 6, "n_head": 6, "n_embd": 384, "dropout": 0.2},
}
"""Of config/train_shakespeare_char.py: as README.md changes it for CPUs, and as it stands."""

SCORE = """
import sys; sys.path.insert(0, ".")
import numpy, torch
from model import GPT, GPTConfig
kept = torch.load("out-shakespeare-char/ckpt.pt", weights_only=False)
model = GPT(GPTConfig(**kept["model_args"])).eval()
model.load_state_dict(kept["model"])
ids = torch.from_numpy(numpy.fromfile("data/shakespeare_char/val.bin", numpy.uint16).astype(numpy.int64))
size, total, number = kept["model_args"]["block_size"], 0.0, 0
while number < len(ids) - 1:
    start = max(0, number - size // 2)  # each character is read with at least half a context before it
    window = ids[None, start : start + size + 1]
    with torch.no_grad():
        logits, _ = model(window[:, :-1], window[:, 1:])
    fresh = slice(number - start, None)
    loss = torch.nn.functional.cross_entropy(logits[0, fresh], window[0, 1:][fresh], reduction="sum")
    total, number = total + loss.item(), start + window.shape[1] - 1
print(total / number)
"""

TIMED = 8
"""Steps by which nanoGPT's speed is measured beforehand, which is not counted against it."""


@dataclass(frozen=True)
class Case:
    """data: below DATA. peer: a configuration of nanoGPT; empty for engram. target: at most so much."""

    data: str
    budget: str
    metric: str = "cross_entropy"
    target: float | None = None
    peer: str = ""


SHAKESPEARE = "tiny_shakespeare/input.txt"
CASES = {
    "shakespeare_1m": Case(SHAKESPEARE, "1m", target=1.75),
    "shakespeare_3m": Case(SHAKESPEARE, "3m"),
    "shakespeare_10m": Case(SHAKESPEARE, "10m"),
    "shakespeare_20m": Case(SHAKESPEARE, "20m", target=1.50),
    **{f"nanogpt_{kind}_{m}m": Case(SHAKESPEARE, f"{m}m", peer=kind) for kind in NANOGPT for m in (1, 3, 10)},
    "dailydialog_10m": Case("dailydialog_en", "10m", "perplexity"),
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What may be asked for."""
    parser.add_argument("data", type=Path, help="a folder that holds tiny_shakespeare/ and dailydialog_en/")
    parser.add_argument("cases", nargs="*", choices=[[], *CASES], help="which (default: all)")
    parser.add_argument("--nanogpt", type=Path, help="a checkout of nanoGPT; without it its cases are left out")
    parser.add_argument("--seeds", type=int, default=1)


def rows(arguments: argparse.Namespace, machine_speed: Callable[[], float]) -> Iterator[dict[str, object]]:
    """Train and score, one row a training; and how fast a run of ours writes."""
    for name in arguments.cases or CASES:
        case = CASES[name]
        if case.peer and arguments.nanogpt is None:
            print(f"{name} is left out: no --nanogpt is given", file=sys.stderr)
            continue
        for seed in range(arguments.seeds):
            before = round(machine_speed(), 2)
            row = {"case": name, "part": "test", "seed": seed, "budget": case.budget, "target": case.target}
            with tempfile.TemporaryDirectory() as folder:
                if case.peer:
                    found = [peer(arguments.nanogpt, arguments.data / case.data, case, Path(folder), seed=seed)]
                else:
                    found = train(arguments.data / case.data, case, Path(folder) / "run", seed=seed)
            speeds = {"tflops_before": before, "tflops_after": round(machine_speed(), 2)}
            yield from ({**row, **one, **speeds} for one in found)


def train(data: Path, case: Case, run: Path, *, seed: int) -> list[dict[str, object]]:
    """Train through the command line, then write; a row for each."""
    command = [sys.executable, "-m", "engram", "train", str(data), "--budget", case.budget, "--seed", str(seed)]
    began = time.monotonic()
    finished = subprocess.run([*command, "--out", str(run), "--json"], capture_output=True, text=True)
    seconds = time.monotonic() - began
    if finished.returncode:
        raise SystemExit(f"{' '.join(command)} failed:\n{finished.stderr}")
    done = json.loads(finished.stdout.splitlines()[-1])
    score = done["metrics"][case.metric]
    trained = {
        "metric": case.metric, **{name: round(score[name], 4) for name in ("value", "low", "high")},
        "network": round((done["network"] or done["metrics"])[case.metric]["value"], 4),
        "floor": round(done["floors"]["n_gram"][case.metric]["value"], 4),
        "delivered": json.loads((run / "run.json").read_text())["competed"]["chosen"],
        "seconds": round(seconds, 2), "predicted_seconds": done["predicted_seconds"],
    }  # fmt: skip
    writing = [sys.executable, "-m", "engram", "generate", str(run), "--max-tokens", str(WRITTEN), "--json"]
    written = json.loads(subprocess.run(writing, capture_output=True, text=True, check=True).stdout)
    speed = len(written["text"]) / written["seconds"]
    return [trained, {"part": "generation", "metric": "characters_per_second", "value": round(speed), "target": None}]


def peer(checkout: Path, data: Path, case: Case, folder: Path, *, seed: int) -> dict[str, object]:
    """Let nanoGPT learn for the budget, and score its last weights on all of the test text."""
    _prepare(data, folder / "data" / "shakespeare_char")
    for name in ("train.py", "model.py", "configurator.py", "config"):
        (folder / name).symlink_to((checkout / name).resolve())
    source = (checkout / "train.py").read_text()
    assert "torch.manual_seed(1337 + seed_offset)" in source, "another version of nanoGPT"
    (folder / "train.py").unlink()
    (folder / "train.py").write_text(source.replace("manual_seed(1337", f"manual_seed({1337 + seed}"))
    started, step = (_seconds(folder, case.peer, steps) for steps in (1, TIMED))
    step = (step - started) / (TIMED - 1)
    budget = 60 * int(case.budget.rstrip("m"))
    steps = max(1, int((budget - started) / step))
    seconds = _seconds(folder, case.peer, steps)
    return {
        "metric": "cross_entropy", "value": round(_score(folder), 4), "seconds": round(seconds, 2),
        "delivered": f"nanoGPT {case.peer}, {steps} steps",
    }  # fmt: skip


def _prepare(data: Path, folder: Path) -> None:
    """Write what nanoGPT's prepare.py writes."""
    text = data.read_text()
    characters = sorted(set(text))
    number = {character: at for at, character in enumerate(characters)}
    ids = np.array([number[character] for character in text], np.uint16)
    border = int(LEARNED * len(ids))
    folder.mkdir(parents=True)
    ids[:border].tofile(folder / "train.bin")
    ids[border:].tofile(folder / "val.bin")
    (folder / "meta.pkl").write_bytes(pickle.dumps({"vocab_size": len(characters)}))


def _seconds(folder: Path, kind: str, steps: int) -> float:
    """Seconds that the whole command takes for so many steps, with one checkpoint at the end."""
    settings = {
        **NANOGPT[kind], "device": "cpu", "compile": False, "max_iters": steps, "lr_decay_iters": steps,
        "warmup_iters": min(100, steps // 10), "eval_interval": steps, "eval_iters": 1, "always_save_checkpoint": True,
    }  # fmt: skip
    command = [sys.executable, "train.py", "config/train_shakespeare_char.py"]
    began = time.monotonic()
    subprocess.run(
        [*command, *(f"--{name}={value}" for name, value in settings.items())],
        cwd=folder, check=True, capture_output=True,
    )  # fmt: skip
    return time.monotonic() - began


def _score(folder: Path) -> float:
    """Nats a character of all the test text, by what nanoGPT kept."""
    finished = subprocess.run([sys.executable, "-c", SCORE], cwd=folder, check=True, capture_output=True, text=True)
    return float(finished.stdout.splitlines()[-1])
