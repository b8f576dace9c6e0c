"""The verbs that learn, and look at what could be learned from: `train`, `inspect`, `demo`."""

from __future__ import annotations

from typing import Any

import click

from engram.cli.options import APPLY, DEBUG, DEVICE, JSON, PLANNING, READING, Reading, typed


@click.command(
    cls=Reading,
    epilog="""\b
Examples:
  engram train photos/                      chooses and prints a budget and a run name
  engram train photos/ --budget 10m --out runs/cats
  engram train scans.csv --target finding --group patient
  engram train parallel/ --source en --target de
  engram train sales.csv --task forecast --horizon 28
  engram train --resume runs/cats           go on where it was stopped
  engram train photos/ --from runs/cats     start from weights learned before
  engram train photos/ --apply fixes.csv    with rows left out and relabelled, as inspect proposed
""",
)
@click.argument("data", required=False)
@READING
@PLANNING
@click.option("--out", metavar="DIR", help="The run directory (default: a new one under runs/).")
@click.option(
    "--from", "start_from", metavar="RUN|FILE", help="Start from the weights of a run or a .safetensors file."
)
@click.option("--resume", metavar="RUN", help="Go on with a run that was stopped.")
@APPLY
@click.option("--tensorboard", is_flag=True, help="Write curves for TensorBoard into the run too.")
@DEVICE
@JSON
@DEBUG
@click.pass_obj
def train(started: float | None, data: str | None, as_json: bool, tensorboard: bool, **options: Any) -> None:
    """Learn from DATA within a time budget.

    DATA is a folder of class folders of pictures or texts (with or without train/, val/ and test/), a CSV, TSV,
    JSONL, Parquet or spreadsheet file, text or a folder of it, parallel text (train.en beside train.de),
    conversations as JSONL or as a chat is exported, an IDX or an .npz file.
    """
    from engram import api, console

    with console.showing(as_json):
        callbacks = [api.TensorBoard()] if tensorboard else []
        api.train(data, started=started, callbacks=callbacks, **typed(options))


@click.command(
    cls=Reading,
    epilog="""\b
Examples:
  engram inspect photos/
  engram inspect labels.csv --target kind --json
  engram inspect photos/ --thorough               look for wrong labels too
  engram inspect photos/ --fixes fixes.csv        write what could be mended, to edit and apply
""",
)
@click.argument("data")
@READING
@PLANNING
@click.option("--thorough", is_flag=True, help="Look for wrong labels too: about 45 seconds of learning.")
@click.option(
    "--fixes", metavar="FILE", help="Write the proposed fixes to a new CSV file, for you to edit; implies --thorough."
)
@APPLY
@DEVICE
@JSON
@DEBUG
def inspect(data: str, as_json: bool, **options: Any) -> None:
    """Say what DATA is, what is wrong, what would be trained.

    Leaves no run behind and changes no file of the data.
    """
    from engram import api, console

    with console.showing(as_json, events=False):
        inspection = api.inspect(data, **typed(options))
    if as_json:
        console.print_json(inspection.as_dict())
    else:
        console.show_inspection(inspection.as_dict(), fixes=options["fixes"])
        if inspection.summary["classes"] and not (options["thorough"] or options["fixes"]):
            click.echo("Wrong labels were not looked for; --thorough does it, in about 45 seconds.")


@click.command()
@click.option("--budget", default="60s", show_default=True, metavar="TIME", help="Upper bound for everything.")
@click.option("--out", metavar="DIR", help="The run directory (default: a new one under runs/).")
@DEVICE
@JSON
@DEBUG
@click.pass_obj
def demo(started: float | None, budget: str, out: str | None, device: str | None, as_json: bool) -> None:
    """Train on bundled pictures, in about a minute."""
    from engram import api, console
    from engram import demo as bundled

    with console.showing(as_json):
        api.train(bundled.path(), budget=budget, out=out, device=device, started=started)
