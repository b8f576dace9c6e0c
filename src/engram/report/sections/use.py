"""How to use the model, and what it was made with: commands, plan, versions."""

from __future__ import annotations

from typing import Any

from engram.core.answers import Forecasts, Rankings
from engram.core.units import format_bytes, format_duration
from engram.report import words
from engram.report.facts import Facts
from engram.report.page import Code, Heading, Section, Table, Text


def section(facts: Facts) -> Section:
    """Commands, the plan with its reasons, versions."""
    found = Section("use", "Using it, and making it again")
    if in_terminal := commands(facts):
        found.blocks.append(Code(in_terminal, "In the terminal"))
    found.blocks.append(Code(program(facts), "In Python"))
    rows = plan_rows(facts)
    if rows:
        found.blocks += [
            Heading("The plan, and the reason for every number"),
            Table(("", "value", "because"), rows, _can_be_set(facts)),
        ]
    found.blocks.append(Text(versions(facts), "note"))
    return found


def commands(facts: Facts) -> str:
    """The verbs for this run; none where only its maker's own program can read what it answers for."""
    if not facts.task.inputs:
        return ""
    run = _quoted(str(facts.run))
    said = [
        *_asking(facts, run),
        (f"engram explain {run}", "a page: what each layer learned, why it answers so"),
        (f"engram evaluate {run} DATA", "scores on other data of the same form"),
        (f"engram compare {run} OTHER_RUN", "is the other one better, or is it noise?"),
        (f"engram train DATA --from {run}", "learn on from these weights"),
    ]
    width = max(len(command) for command, _ in said)
    return "\n".join(f"{command.ljust(width)}   # {what}" for command, what in said)


def _asking(facts: Facts, run: str) -> list[tuple[str, str]]:
    """The verbs that give answers, each with what it gives."""
    asked = f"engram {facts.task.asked.replace('RUN', run)}"
    if facts.task.answers.converses:
        return [(asked, "talk with it")]
    if facts.task.answers.sampling is not None:
        return [(asked, "what it writes on from a beginning")]
    if isinstance(facts.task.answers, Rankings):
        return [(asked, "items for a user")]
    if isinstance(facts.task.answers, Forecasts):
        drawn = f"{asked} NEWER.csv --draw FILE.html"
        return [(asked, "continues the series"), (drawn, "continues newer ones, and draws them")]
    item = {"text": "TEXT...", "picture": "PICTURE..."}.get(facts.thing, "FILE...")
    answers = "labels with probabilities" if facts.task.answers.are_logits else "answers"
    return [(f"engram predict {run} {item}", answers), (f"engram explain {run} {item}", "why these answers")]


def program(facts: Facts) -> str:
    """The same from Python."""
    if not facts.task.inputs:
        made = (facts.record.get("network") or {}).get("factory", "MyNet")
        return (
            f"import engram\n\npredictor = engram.load({str(facts.run)!r}, model={made}())   # your own network, anew\n"
            "predictor(inputs)      # what it gives for tensors, without gradients\n"
            "predictor.network      # the network itself, with what it learned"
        )
    opened = f"import engram\n\npredictor = engram.load({str(facts.run)!r})"
    if facts.task.answers.converses:
        return f'import engram\n\nchat = engram.chat({str(facts.run)!r})\nprint(chat.say("Good morning."))'
    if facts.task.answers.sampling is not None:
        return f'import engram\n\nprint(engram.generate({str(facts.run)!r}, "Once upon a time"))'
    if isinstance(facts.task.answers, Forecasts):
        return f"import engram\n\nengram.predict({str(facts.run)!r})   # continues the series"
    item = {"text": '"not bad at all"', "picture": '"picture.png"', "row": '{"column": value, ...}'}.get(
        facts.thing, "item"
    )
    return f"{opened}\npredictor.predict({item})   # {_answer(facts)}"


def _answer(facts: Facts) -> str:
    """The form of an answer."""
    if facts.task.answers.calibration == "sigmoid":
        return '{"labels": [...], "probabilities": {...}}'
    if facts.task.answers.are_logits:
        return '{"label": ..., "probability": ..., "unfamiliar": ...}'
    return "a dictionary"


def _quoted(text: str) -> str:
    import shlex

    return shlex.quote(text)


def plan_rows(facts: Facts) -> list[tuple[str, str, str]]:
    """Every number of the plan that has a reason: (name, value, reason)."""
    plan = facts.plan
    return [
        (name, _shown(name, _value(plan, name)), str(reason)) for name, reason in (plan.get("reasons") or {}).items()
    ]


def _value(plan: dict[str, Any], name: str) -> Any:
    head, _, rest = name.rpartition(".")
    return (plan.get(head) or {}).get(rest) if head else plan.get(rest)


def _shown(name: str, value: Any) -> str:
    if value is None:
        return ""
    if name == "predicted_seconds":
        return format_duration(value)
    if name in ("predicted_memory", "predicted_disk"):
        return format_bytes(value)
    return words.number(value)


def _can_be_set(facts: Facts) -> str:
    data = (facts.record.get("options") or {}).get("data") or "DATA"
    if not facts.task.inputs:
        return 'What training uses can be set by the name it has here: engram.train(..., settings={"batch_size": 250})'
    command = f"engram train {_quoted(str(data))} --set batch_size=250"
    return f"What training uses can be set by the name it has here, for example: {command}"


def versions(facts: Facts) -> str:
    """What it was made with, so that it can be made again."""
    record, data = facts.record, facts.data
    network = record.get("network") or {}
    made = network.get("name") or network.get("factory") or "unknown"
    parts = [f"{name} {record[name]}" for name in ("engram", "torch", "python") if record.get(name)]
    said = f"Made with {words.listed(parts)}; network {made}, seed {facts.plan.get('seed', 0)}"
    if data.get("origin"):
        said += f"; data {data['origin']}"
    if data.get("fingerprint"):
        said += f" (fingerprint {data['fingerprint']})"
    return f"{said}."
