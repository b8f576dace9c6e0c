"""Build the report and the model card from a run directory."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from engram.core.rundir import RunDirectory
from engram.core.task import Batch
from engram.predict.checking import checked
from engram.predict.predictor import Predictor
from engram.report import card, page
from engram.report.facts import Facts, gather
from engram.report.sections import (
    calibration,
    columns,
    data,
    depth,
    errors,
    example,
    forecasts,
    headline,
    inside_texts,
    network,
    numbers,
    rankings,
    reasons,
    running_text,
    slices,
    training,
    translations,
    trust,
    units,
    use,
    wording,
)

SECTIONS = (
    headline, data, forecasts, rankings, translations, running_text, network, example, units, inside_texts, wording,
    depth, columns, reasons, training, errors, numbers, slices, calibration, trust, use,
)  # fmt: skip
"""In the order of the page."""


def build(
    run: RunDirectory | str | Path,
    *,
    seconds: float | None = None,
    predictor: Predictor | None = None,
    example: Batch | None = None,
) -> Path:
    """Write report.html and README.md, the model card, into a run; return the path of the report.

    seconds: the time there is; what is costly is done for fewer pictures where it is short. predictor: the run
    already open, needed only for a network of the user's own. example: one encoded example, by which the network is
    drawn where the run keeps none. RunError where the run is missing or damaged.
    """
    directory = checked(run)
    facts = gather(directory, seconds=seconds, predictor=predictor, example=example)
    sections = [section for part in SECTIONS if (section := part.section(facts)) is not None]
    html = page.render(
        title=title(facts),
        subtitle=headline.subtitle(facts),
        sections=sections,
        footer=footer(facts.record, facts.began),
    )
    directory.write("report.html", html.encode("utf-8", "replace"))
    directory.write("README.md", card.card(facts).encode("utf-8", "replace"))
    return directory / "report.html"


def title(facts: Facts) -> str:
    """The name of the data, or else of the run."""
    origin = str(facts.data.get("origin") or "").rstrip("/")
    return Path(origin).stem or facts.run.path.resolve().name


def footer(record: dict[str, Any], began: float) -> str:
    """What wrote a page, when, and how long it took."""
    return (
        f"Written by engram {record.get('engram', '')} on {datetime.now(UTC):%Y-%m-%d} in "
        f"{time.monotonic() - began:.1f} s. This file is complete in itself and asks nothing of the network."
    )
