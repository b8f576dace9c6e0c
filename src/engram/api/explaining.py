"""`explain`: what a run learned, as a page; or why it answers some inputs as it does."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from engram.api.prediction import load, taken
from engram.explain.why import reasoned

FOLDER = "explained"
"""Of a run, where pages of explained inputs are written unless another place is named."""


@dataclass(frozen=True)
class Explanation:
    """page: to be opened in a browser. answers: one an input, as `predict` gives them, with what they hang on.

    files: everything that was written.
    """

    page: Path
    answers: list[dict[str, Any]] = field(default_factory=list)
    files: list[Path] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """The same, ready for JSON."""
        return {"page": str(self.page), "answers": self.answers, "files": [str(path) for path in self.files]}


def explain(
    run: Any,
    items: Any = (),
    *,
    out: str | os.PathLike[str] | None = None,
    seconds: float | None = None,
    device: str | None = None,
    model: Any = None,
    trust_source: bool = False,
    stdin: Iterable[str] | None = None,
    **options: Any,
) -> Explanation:
    """Explain a run, or its answers to some items (as `predict` takes them).

    Without items, explain.html is written into the run: what each layer learned, why some examples are answered as
    they are, where it errs, and whether it can be trusted. seconds: the time for it, about.
    With items, a page of them is written into the folder `out` (default: RUN/explained), beside it a heat map of each
    picture. ConfigError where answers of the run cannot be explained.
    """
    from engram.report import explained as pages

    predictor = load(run, device=device, model=model, trust_source=trust_source)
    if items is None or (isinstance(items, tuple | list) and not items):
        page = pages.of_run(predictor.run, predictor=predictor, seconds=seconds or pages.SECONDS)
        return Explanation(page, files=[page])
    chosen = list(taken(predictor, items, stdin=stdin))
    answers, found = reasoned(predictor, chosen, **options)
    shown = [
        (str(answer["input"]), item, why)
        for item, answer, why in zip(chosen, answers, found, strict=True)
        if why is not None
    ]
    files = pages.of_inputs(predictor, shown, Path(out) if out is not None else predictor.run / FOLDER)
    return Explanation(files[0], answers, files)
