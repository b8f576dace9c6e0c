"""The pages of explanations: explain.html of a run, and one for inputs of the user's own."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from engram.core import durable
from engram.core.rundir import RunDirectory
from engram.explain.why import Why
from engram.predict.checking import checked
from engram.predict.predictor import Predictor
from engram.report import page
from engram.report.build import footer, title
from engram.report.facts import gather
from engram.report.page import Section
from engram.report.sections import (
    calibration,
    columns,
    depth,
    errors,
    example,
    inside_texts,
    network,
    rankings,
    reasons,
    running_text,
    slices,
    translations,
    trust,
    units,
    wording,
)
from engram.report.sections import why as one_answer
from engram.report.sections.resembling import Resembling

SECONDS = 40.0
"""Time that the page takes at most, about: it shows what the report has no time for."""

SECTIONS = (
    network, units, inside_texts, wording, depth, example, columns, rankings, running_text, translations, reasons,
    errors, slices, calibration, trust,
)  # fmt: skip
"""In the order of the page: from the input to the output, then why, where it errs, and whether to trust it."""

FILE = "explain.html"


def of_run(run: RunDirectory | str | Path, *, seconds: float = SECONDS, predictor: Predictor | None = None) -> Path:
    """Write explain.html into a run, and return its path."""
    directory = checked(run)
    facts = gather(directory, seconds=seconds, predictor=predictor)
    sections = [section for part in SECTIONS if (section := part.section(facts)) is not None]
    html = page.render(
        title=title(facts),
        subtitle="What each layer learned, why it answers as it does, where it errs, and whether it can be trusted.",
        sections=sections,
        footer=footer(facts.record, facts.began),
        what="what a network learned",
    )
    directory.write(FILE, html.encode("utf-8", "replace"))
    return directory / FILE


def of_inputs(predictor: Predictor, found: Sequence[tuple[str, Any, Why]], folder: Path) -> list[Path]:
    """Write a page of explained inputs (name, item, why) and heat maps of pictures into a folder; return the files."""
    facts = gather(predictor.run, seconds=SECONDS, predictor=predictor)
    alike = Resembling(facts)
    durable.make_folder(folder)
    written = [folder / "index.html"]
    sections = []
    for number, (name, item, why) in enumerate(found, 1):
        key, note = f"input-{number}", f"Answered with {one_answer.certainty(why)}."
        sections.append(Section(key, name[:80], [*one_answer.blocks(why, note=note), *alike.blocks(item)]))
        if why.question.parts.kind == "pixels":
            written.append(folder / f"{key}.png")
            durable.write_atomically(written[-1], one_answer.png(why))
    html = page.render(
        title="Why these answers",
        subtitle=f"What the answers of {predictor.run.path.resolve().name} hang on.",
        sections=sections,
        footer=footer(facts.record, facts.began),
        what="answers explained",
    )
    durable.write_atomically(written[0], html.encode("utf-8", "replace"))
    return written
