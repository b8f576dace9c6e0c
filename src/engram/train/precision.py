"""In which precision to compute: measured at the start, not assumed."""

from __future__ import annotations

import time
from contextlib import AbstractContextManager

import torch

from engram.core.errors import ConfigError


def choose_device(name: str | None = None) -> torch.device:
    """Return the device to train on: the one named, or the fastest there is. ConfigError if it is not there."""
    available = ["cpu"]
    if torch.backends.mps.is_available():
        available.insert(0, "mps")
    if torch.cuda.is_available():
        available.insert(0, "cuda")
    if name is None:
        return torch.device(available[0])
    if name.split(":")[0] not in available:
        raise ConfigError(f"expected a device that is here ({', '.join(available)}); got {name!r}")
    return torch.device(name)


def choose_precision(device: torch.device) -> tuple[str, str]:
    """Return ("bfloat16" or "float32", the reason)."""
    if device.type == "cuda":
        if torch.cuda.is_bf16_supported(including_emulation=False):
            return "bfloat16", "the GPU has matrix units for it"
        return "float32", "the GPU has no matrix units for bfloat16"
    if device.type == "mps":
        return "float32", "on this device it is the safe choice"
    gain = _seconds(torch.float32) / _seconds(torch.bfloat16)
    if gain > 1.3:
        return "bfloat16", f"matrix products measured {gain:.1f} times as fast as in float32"
    return "float32", f"bfloat16 measured {gain:.1f} times as fast, which does not pay"


def _seconds(dtype: torch.dtype) -> float:
    """Best time of a matrix product of the size that networks use."""
    a = torch.ones(1024, 1024, dtype=dtype)
    best = float("inf")
    for _ in range(4):
        began = time.perf_counter()
        a @ a
        best = min(best, time.perf_counter() - began)
    return best


def autocast(precision: str, device: torch.device) -> AbstractContextManager[object]:
    """Compute in `precision` within the block; weights stay in float32."""
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=precision == "bfloat16")
