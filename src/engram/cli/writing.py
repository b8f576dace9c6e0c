"""The verbs that write: `generate` and `chat`. Text goes to stdout as it is written, all else to stderr."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Iterable, Iterator
from typing import Any

import click

from engram.cli.options import DEBUG, DEVICE, JSON, together
from engram.cli.verbs import asked
from engram.core.errors import EngramError, Interrupted

SAMPLING = together(
    click.option("--temperature", type=float, default=0.8, show_default=True, help="Below 1 safer, above 1 bolder."),
    click.option("--top-p", type=float, default=1.0, show_default=True, help="Draw among the likeliest of this share."),
    click.option(
        "--top-k", type=int, default=0, show_default=True, help="Draw among so many of the likeliest; 0: all."
    ),
    click.option("--max-tokens", type=int, default=500, show_default=True, metavar="N", help="Write at most so much."),
    click.option("--stop", multiple=True, metavar="TEXT", help="Stop where this is written; repeat for several."),
    click.option("--seed", type=int, help="Write the same every time."),
)

CHAT_HELP = (
    "/reset begins anew · /save FILE keeps what was said · /help shows this · Ctrl-C ends an answer · Ctrl-D ends"
)


@click.command(
    epilog="""\b
Examples:
  engram generate runs/plays --prompt 'ROMEO:'
  engram generate runs/plays --prompt 'ROMEO:' --temperature 0.5 --stop JULIET --max-tokens 2000
  engram generate runs/plays --prompt - --json < opening.txt
"""
)
@click.argument("run")
@click.option("--prompt", default="", metavar="TEXT", help="What to go on from; - reads it from stdin.")
@SAMPLING
@DEVICE
@JSON
@DEBUG
def generate(run: str, prompt: str, as_json: bool, **options: Any) -> None:
    """Write on from a prompt, as RUN has learned to.

    Streams what is written. With --json: one object, once it has ended. Ctrl-C ends it.
    """
    from engram import api, console

    with console.showing(as_json, events=False):
        began = time.monotonic()
        text = sys.stdin.read() if prompt == "-" else prompt
        writing = api.generate(run, text, **options)
        if as_json:
            written = str(writing)
            facts = {"tokens": writing.tokens, "ended": writing.ended, "seconds": round(time.monotonic() - began, 3)}
            console.print_json({"prompt": text, "text": written, **facts})
            return
        click.echo(text, nl=False)
        _stream(writing)


@click.command(
    epilog=f"""\b
Within it: {CHAT_HELP}
\b
Example:
  engram chat runs/talk --temperature 0.7
"""
)
@click.argument("run")
@SAMPLING
@DEVICE
@JSON
@DEBUG
def chat(run: str, as_json: bool, **options: Any) -> None:
    """Talk with RUN, which was trained on conversations.

    What you type, or each line of stdin, is said; the answer is streamed. With --json: one object an answer.
    """
    from engram import api, console

    with console.showing(as_json, events=False):
        talk = api.chat(run, **options)
        if sys.stdin.isatty() and not as_json:
            click.echo(CHAT_HELP, err=True)
        for line in _lines(prompted=not as_json):
            if line.startswith("/"):
                _command(talk, line)
            elif line and as_json:
                console.print_json({"user": line, "assistant": talk.say(line)})
            elif line:
                _answer(talk.stream(line))


def _answer(pieces: Iterator[str]) -> None:
    """Print an answer as it comes; Ctrl-C ends it, and the talk goes on."""
    try:
        _stream(pieces)
    except Interrupted as interrupted:
        if interrupted.number != signal.SIGINT:
            raise
        asked.clear()


def _lines(*, prompted: bool) -> Iterable[str]:
    """What is typed, line by line, until Ctrl-D."""
    while True:
        if prompted and sys.stdin.isatty():
            click.echo("> ", nl=False, err=True)
        line = sys.stdin.readline()
        if not line:
            return
        yield line.strip()


def _command(talk: Any, line: str) -> None:
    """Do what begins with a slash. A mistake in it ends nothing."""

    verb, _, rest = line.partition(" ")
    try:
        if verb == "/reset":
            talk.reset()
            click.echo("The conversation begins anew.", err=True)
        elif verb == "/save" and rest.strip():
            talk.save(rest.strip())
            click.echo(f"Saved {len(talk.history)} turns to {rest.strip()}.", err=True)
        else:
            click.echo(CHAT_HELP, err=True)
    except (EngramError, OSError) as error:
        click.echo(f"Error: {error}", err=True)


def _stream(pieces: Iterable[str]) -> None:
    """Print text as it comes, and end the line, whatever ends the text."""
    try:
        for piece in pieces:
            click.echo(piece, nl=False)
            sys.stdout.flush()
    finally:
        click.echo()
