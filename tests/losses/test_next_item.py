"""The softmax over very many items: over some of them it estimates that over all."""

from __future__ import annotations

import pytest
import torch

from engram.losses import next_item as losses


def test_some_items_stand_for_all(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    state, vectors, bias = torch.randn(64, 8), torch.randn(5000, 8) / 3, torch.randn(5000) / 3
    target = torch.randint(5000, (64,))
    full = losses.next_item(state, target, vectors, bias)
    monkeypatch.setattr(losses, "MOST_LOGITS", 1000)
    monkeypatch.setattr(losses, "SAMPLED", 2000)
    some = losses.next_item(state, target, vectors, bias)
    torch.testing.assert_close(some, full, rtol=0.02, atol=0.05)
