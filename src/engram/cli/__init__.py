"""The command line: every verb is one function of `engram.api`, called with what was typed.

Nothing here imports torch: `engram --help` answers at once.
"""

from __future__ import annotations

import gc
import io
import signal
import sys
import time

import click

from engram.cli.answering import compare, evaluate, explain, predict
from engram.cli.handing_on import export, promote, serve
from engram.cli.learning import demo, inspect, train
from engram.cli.recommending import recommend
from engram.cli.verbs import asked, cli, end_at_once, process_age
from engram.cli.writing import chat, generate
from engram.core.machine import wait_passively

__all__ = ["cli", "main", "process_age"]

MANY_OBJECTS = 50_000
"""New objects after which Python looks for garbage. PyTorch's modules alone are 400,000 that stay, which it would look
through time and again while they are imported: half a second of two and a half."""


@click.command(
    epilog="""\b
Examples:
  echo 'source <(engram completion bash)' >> ~/.bashrc
  echo 'source <(engram completion zsh)' >> ~/.zshrc
  engram completion fish > ~/.config/fish/completions/engram.fish
"""
)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print the script for completion with TAB."""
    from click.shell_completion import get_completion_class

    completer_class = get_completion_class(shell)
    assert completer_class is not None, "click knows these shells"
    completer = completer_class(cli, {}, "engram", "_ENGRAM_COMPLETE")
    click.echo(completer.source_template % completer.source_vars())


# in the order in which they are used, which is that of --help
VERBS = (
    train, inspect, predict, explain, evaluate, recommend, generate, chat, compare, export, serve, promote, demo,
    completion,
)  # fmt: skip
for verb in VERBS:
    cli.add_command(verb)


def main() -> None:
    """Run the command `engram`."""
    wait_passively()  # before any verb imports torch
    gc.set_threshold(MANY_OBJECTS)
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        if hasattr(signal, name) and signal.getsignal(getattr(signal, name)) is not signal.SIG_IGN:
            signal.signal(getattr(signal, name), end_at_once)
    if isinstance(sys.stdout, io.TextIOWrapper):
        # Names of files may hold what the terminal's encoding does not; in JSON this writes the escape for it.
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        cli(obj=time.monotonic() - process_age(), prog_name="engram")
    except SystemExit as leaving:
        sys.exit(128 + asked[0] if asked else leaving.code)
