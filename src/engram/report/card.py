"""The model card: README.md of a run, for whoever is handed the model without its makers.

After Mitchell et al. 2019, "Model Cards for Model Reporting" (arXiv:1810.03993).
"""

from __future__ import annotations

import re
from typing import Any

from markupsafe import Markup

from engram.report import words
from engram.report.facts import Facts
from engram.report.sections import data, headline, use

MOST_CLASSES = 30
WEAK = 5


def card(facts: Facts) -> str:
    """Return the model card as Markdown."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("engram.report", "templates"),
        autoescape=False,  # Markdown: `escaped` is the way of writing here
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=lambda value: escaped(value) if isinstance(value, str) and not isinstance(value, Markup) else value,
    )
    environment.filters["code"] = lambda line: Markup(line.replace("```", "'''"))
    return environment.get_template("card.md.j2").render(**_content(facts))


def escaped(text: str) -> str:
    """Write plain text so that Markdown shows it as it is: no tag, link, table cell or emphasis begins in it."""
    return re.sub(r"([\\`*\[\]|#])", r"\\\1", text.replace("&", "&amp;").replace("<", "&lt;")).replace("\n", " ")


def _content(facts: Facts) -> dict[str, Any]:
    counts = data.class_counts(facts)
    return {
        "title": facts.run.path.resolve().name,
        "subtitle": headline.subtitle(facts),
        "verdict": headline.verdict(facts) if facts.metric else "It has no scores yet.",
        "split": words.split_name(facts.split),
        "things": facts.scored,
        "scores": headline.scores(facts),
        "delivered": "the network" if facts.result.get("network") is None else "delivered",
        "classes": words.listed(facts.names, most=MOST_CLASSES),
        "rows": {words.split_name(name): f"{count:,}" for name, count in facts.data.get("rows", {}).items()},
        "origin": str(facts.data.get("origin") or "unknown"),
        "counts": words.listed([f"{name} ({count:,})" for name, count in counts.items()], most=MOST_CLASSES),
        "findings": [str(f["message"]) for f in facts.data.get("findings") or () if f.get("severity") != "info"],
        "weak": _weak(facts),
        "calibration": _calibration(facts),
        "unfamiliar": facts.result.get("unfamiliar") is not None,
        "commands": use.commands(facts).splitlines(),
        "program": use.program(facts).splitlines(),
        "versions": use.versions(facts),
    }


def _weak(facts: Facts) -> list[str]:
    """The classes that are found least often."""
    known = [e for e in facts.result.get("per_class") or () if e.get("recall") is not None]
    lowest = sorted(known, key=lambda e: e["recall"])[: min(WEAK, len(known) // 2)]
    return [f"{e['label']} ({words.percent(e['recall'])} of {e['support']:,} found)" for e in lowest]


def _calibration(facts: Facts) -> str:
    if not facts.task.answers.are_logits:
        return ""
    error = (facts.result.get("calibration") or {}).get("expected_calibration_error")
    if error is None:
        return "Its confidence has not been checked."
    return f"Stated confidence differs from the share of right answers by {words.percent(error)} on average."
