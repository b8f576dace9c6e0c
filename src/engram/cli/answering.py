"""The verbs that answer, explain and score: `predict`, `explain`, `evaluate`, `compare`."""

from __future__ import annotations

import sys
from typing import Any

import click

from engram.cli.options import DEBUG, DEVICE, JSON, OWN_NETWORK, Answering, typed
from engram.core.errors import ConfigError


@click.command(
    cls=Answering,
    epilog="""\b
Examples:
  engram predict runs/photos cat.jpg
  engram predict runs/photos new/ --csv > answers.csv
  engram predict runs/reviews all.csv --out answers.parquet   however many there are
  find . -name '*.jpg' | engram predict runs/photos - --json
  engram predict runs/reviews "not bad at all" --explain
  engram predict runs/reviews new.csv             or lines of a .txt, or - for lines on stdin
  engram predict runs/adult '{"age": 39, "workclass": "Private"}'
  engram predict runs/en-de - < in.txt > out.txt  translate, line by line
  engram predict runs/sales --draw forecast.html  continue the series that it learned from, or newer.csv
\b
What else a run's task lets you choose is said by: engram predict RUN --help
""",
)
@click.argument("run")
@click.argument("items", nargs=-1)
@click.option("--top", type=click.IntRange(min=1), metavar="K", help="Show the K most probable labels.")
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV, one line per item.")
@click.option("--out", metavar="FILE", help="Write the answers to FILE (.parquet), however many there are.")
@click.option("--draw", metavar="FILE.html", help="Draw forecasts in a page too.")
@click.option("--explain", is_flag=True, help="Show what each answer hangs on, as explain does.")
@OWN_NETWORK
@DEVICE
@JSON
@DEBUG
def predict(run: str, items: tuple[str, ...], as_json: bool, as_csv: bool, **options: Any) -> None:
    """Answer for ITEMS, as RUN has learned to.

    ITEMS are files, folders or patterns; for a run that reads texts, the texts themselves; for one that reads rows,
    tables or JSON objects. Of texts, an item that is the name of a file or folder is read: the lines of a file, the
    longest column of texts of a table, the .txt files of a folder, each a text. Anything else is a text as it stands.
    Answers that are texts are printed as they are, one a line.
    - stands for what is on stdin, one a line: texts, rows (as JSON, or as CSV with a header), or else paths. With
    --json, one object per line. An item that cannot be read has an error in place of its answer, and the exit code
    is then 1.
    """
    from engram import api, console

    if as_json and as_csv:
        raise ConfigError("expected one form of output; got --json and --csv. Give one of them.")
    ranked = options["top"] is not None
    options = {name: value for name, value in options.items() if value is not None}  # the task has its own defaults
    if options.get("out"):
        with console.showing(as_json, events=False):
            _tell_kept(api.predict(run, items, stdin=sys.stdin, **options), as_json=as_json)
        return
    with console.showing(True, events=False):  # stdout holds answers alone
        answers = api.predict(run, items, stdin=sys.stdin, **options)
    if as_json:
        for answer in answers:
            console.print_json(answer)
    elif as_csv:
        console.print_csv(answers)
    else:
        console.show_answers(answers, ranked=ranked)
        console.show_reasons(answers)
    if unread := sum("error" in answer for answer in answers):
        click.echo(f"{unread} of {len(answers)} items could not be read; their answers say why.", err=True)
        raise SystemExit(1)


def _tell_kept(kept: dict[str, Any], *, as_json: bool) -> None:
    from engram import console

    if as_json:
        console.print_json(kept)
    else:
        click.echo(f"{kept['rows']:,} answers are in {kept['out']} ({kept['seconds']:.0f} s).")
    if kept["unread"]:
        click.echo(f"{kept['unread']:,} items could not be read; the column error says why.", err=True)
        raise SystemExit(1)


@click.command(
    epilog="""\b
Examples:
  engram explain runs/photos                 a page: what each layer learned, where it errs, whether to trust it
  engram explain runs/photos cat.jpg         why this answer: a page, and a heat map
  engram explain runs/reviews "not bad at all"
"""
)
@click.argument("run")
@click.argument("items", nargs=-1, metavar="[INPUT]...")
@click.option("--out", metavar="DIR", help="Where the page of INPUTs is written (default: RUN/explained).")
@click.option("--seconds", type=click.FloatRange(min=1), metavar="N", help="Time for RUN's page, about. [default: 40]")
@OWN_NETWORK
@DEVICE
@JSON
@DEBUG
def explain(run: str, items: tuple[str, ...], as_json: bool, **options: Any) -> None:
    """Show what RUN learned, or why it answers INPUTs so.

    Without an INPUT, explain.html is written into RUN. INPUTs are given as to predict.
    """
    from engram import api, console

    explanation = api.explain(run, items, stdin=sys.stdin, **options)
    if as_json:
        console.print_json(explanation.as_dict())
        return
    console.show_answers(explanation.answers, ranked=False)
    console.show_reasons(explanation.answers)
    click.echo("\n".join(str(path) for path in explanation.files))


@click.command(
    epilog="""\b
Examples:
  engram evaluate runs/photos               on the run's own test rows
  engram evaluate runs/photos newer/ --json
"""
)
@click.argument("run")
@click.argument("data", required=False)
@click.option("--split", metavar="NAME", help="Rows to score: train, val or test (default: test).")
@click.option("--target", metavar="COLUMN", multiple=True, help="Column of the true labels.")
@click.option("--input", "--source", metavar="COLUMN", multiple=True, help="Column to answer from.")
@OWN_NETWORK
@DEVICE
@JSON
@DEBUG
def evaluate(run: str, data: str | None, as_json: bool, **options: Any) -> None:
    """Score RUN on DATA, with intervals, beside floors.

    Without DATA: on the test rows that training set aside (on the validation rows where there are none).
    """
    from engram import api, console

    with console.showing(as_json, events=False):
        scores = api.evaluate(run, data, **typed(options))
    if as_json:
        console.print_json(scores)
    else:
        console.show_scores(scores)


@click.command(epilog="\b\nExample:\n  engram compare runs/photos runs/photos-2\n")
@click.argument("run_a", metavar="A")
@click.argument("run_b", metavar="B")
@JSON
@DEBUG
def compare(run_a: str, run_b: str, as_json: bool) -> None:
    """Say whether run B is better than A, or is it noise."""
    from engram import api, console

    comparison = api.compare(run_a, run_b)
    if as_json:
        console.print_json(comparison)
    else:
        console.show_comparison(comparison)
