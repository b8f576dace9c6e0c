"""The module that is exported, whatever to: from what decoding gives (pixels, ids) to calibrated answers.

Shapes: B examples, C classes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

OUTPUTS = {
    "logits": "calibrated logits",
    "probabilities": "what the logits say: their softmax, or their sigmoids where an example may have several labels",
    "value": "the number",
    "low": "where its interval begins",
    "high": "where it ends",
    "unfamiliarity": "0 is typical of what was learned from; an input above 1 is unfamiliar",
    "output": "what the network gives",
}

OF_KIND = {
    None: ("output",),
    "softmax": ("logits", "probabilities", "unfamiliarity"),
    "sigmoid": ("logits", "probabilities", "unfamiliarity"),
    "conformal": ("value", "low", "high", "unfamiliarity"),
}
"""What comes out, by how the task's answers are calibrated."""


class Exported(nn.Module):
    """Encode, run the model, and name what comes out.

    model: what the run delivers. encoders: for each input what encodes it; None where it comes encoded.
    kind: "softmax" or "sigmoid" where the model gives calibrated logits, "conformal" where it gives numbers with both
    ends of their intervals.
    """

    def __init__(self, model: nn.Module, encoders: Sequence[nn.Module | None], *, kind: str | None) -> None:
        super().__init__()
        self.model = model
        self.encoders = nn.ModuleList(encoder or nn.Identity() for encoder in encoders)
        self.kind = kind

    def forward(self, *given: Tensor) -> dict[str, Tensor]:
        """Return the answers to B examples by name."""
        encoded = [encoder(value) for encoder, value in zip(self.encoders, given, strict=True)]
        if self.kind is None:
            return named(self.model(*encoded), None, kind=None)
        logits_BC, unfamiliarity_B = self.model.watched(lambda model: model(*encoded))  # type: ignore[operator]
        return named(logits_BC, unfamiliarity_B, kind=self.kind)


def named(output: Any, unfamiliarity_B: Tensor | None, *, kind: str | None) -> dict[str, Tensor]:
    """Return answers by the names that exported models give them, from the raw output and the unfamiliarity."""
    if kind is None:
        return {"output": output}
    beside = {} if unfamiliarity_B is None else {"unfamiliarity": unfamiliarity_B}
    if kind == "conformal":
        return {**dict(zip(OF_KIND[kind], output.unbind(1), strict=False)), **beside}
    probabilities_BC = output.softmax(1) if kind == "softmax" else output.sigmoid()
    return {"logits": output, "probabilities": probabilities_BC, **beside}
