"""Reading the weights, and checking that the answers are those that engram gave."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

TYPES = {
    "F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16, "I64": torch.int64,
    "I32": torch.int32, "I16": torch.int16, "I8": torch.int8, "U8": torch.uint8, "BOOL": torch.bool,
}  # fmt: skip
"""Types of numbers, by the names that safetensors gives them."""


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Read a .safetensors file: the header's length, the header in JSON (type, shape, place), the numbers."""
    content = path.read_bytes()
    first = 8 + int.from_bytes(content[:8], "little")
    tensors = {}
    for name, entry in json.loads(content[8:first]).items():
        if name != "__metadata__":
            begin, end = entry["data_offsets"]
            numbers = torch.frombuffer(
                bytearray(content[first + begin : first + end]) or bytearray(8), dtype=torch.uint8
            )
            tensors[name] = numbers[: end - begin].view(TYPES[entry["dtype"]]).reshape(entry["shape"])
    return tensors


def filled(model: nn.Module, folder: Path) -> Any:
    """Return a model with the weights of a folder, in evaluation mode."""
    model.load_state_dict(read_tensors(folder / "model.safetensors"))
    return model.eval()


@torch.no_grad()
def check(model: nn.Module, folder: Path) -> None:
    """Answer for the examples of a folder and compare with what engram answered; SystemExit where they differ."""
    facts = json.loads((folder / "model.json").read_text(encoding="utf-8"))
    examples = read_tensors(folder / "examples.safetensors")
    answers = model(*(examples[f"given/{role}"] for role in facts["inputs"]))
    for name, answer in answers.items():
        expected = examples[f"answers/{name}"]
        difference = float((answer - expected).abs().max())
        print(f"{name}: {len(expected)} examples, largest difference from engram's {difference:.1e}")
        if not difference <= 1e-4 * max(1.0, float(expected.abs().max())):
            raise SystemExit("These are not the answers that engram gave.")
