"""The group of verbs, and how it ends: what went wrong becomes one message and an exit code."""

from __future__ import annotations

import os
import time
from pathlib import Path
from types import FrameType
from typing import Any

import click

from engram import __version__
from engram.core.errors import EngramError, Interrupted, LostProcessError, Stopped, nearest
from engram.core.machine import process_rank

EXAMPLES = """\b
Examples:
  engram demo                                     bundled pictures, about a minute
  engram inspect photos/                          what is in it, what would be trained
  engram train photos/ --budget 10m               one folder of pictures per class
  engram train reviews.csv                        a table of texts, or of paths, with labels
  engram train houses.csv --target price          a table or spreadsheet of anything
  engram train ratings.csv                        who took what: recommendations
  engram train sales.csv --task forecast          a series, or many
  engram train book.txt                           a language model; a chat: conversation
  engram train parallel/ --source en --target de  translation: train.en beside train.de
  engram predict runs/photos cat.jpg new/*.jpg    answers with probabilities
  engram evaluate runs/photos test/               scores with intervals
  engram explain runs/photos cat.jpg              why this answer; without a picture: what was learned
  engram generate runs/book --prompt 'ROMEO:'     what a language model writes on
  engram recommend runs/ratings --user 42         with reasons
  engram export runs/photos --to onnx             the model for use elsewhere
  engram serve runs/photos                        answers over HTTP, and a page to try it
\b
Every verb has its own --help. Completion with TAB: engram completion --help
"""


class Verbs(click.Group):
    """The group of verbs: offers the nearest one for a misspelt name, and tells errors without a traceback."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Verbs in the order in which they are used, not in that of the alphabet."""
        return list(self.commands)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the verb, or offer the nearest."""
        if args[0] not in self.commands and not args[0].startswith("-"):
            guess = nearest(args[0], self.commands)
            hint = f"Did you mean {guess!r}?" if guess else f"There are: {', '.join(self.commands)}."
            raise click.UsageError(f"there is no verb {args[0]!r}. {hint}", ctx)
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the verb; what went wrong becomes one message and an exit code."""
        try:
            return super().invoke(ctx)
        except (click.ClickException, click.exceptions.Exit, click.Abort):
            raise
        except (Exception, KeyboardInterrupt) as error:
            if ctx.meta.get("engram.debug"):
                raise
            message, code = _told(error)
            if process_rank() == 0 or not isinstance(error, Stopped | LostProcessError):  # the first speaks for all
                click.echo(message, err=True)
            ctx.exit(code)


asked: list[int] = []
"""The signals that asked for the end at once."""


def _told(error: BaseException) -> tuple[str, int]:
    """What to print for an exception, and the exit code."""
    if isinstance(error, Stopped):
        return str(error), error.exit_code
    if asked:  # whatever a library made of it on the way
        return "Stopped.", 128 + asked[0]
    if isinstance(error, EngramError):
        return "\n".join([f"Error: {error}", *getattr(error, "__notes__", [])]), error.exit_code
    if isinstance(error, KeyboardInterrupt):
        return "Stopped.", 130
    if isinstance(error, OSError):
        return f"Error: {error}", 1
    notes = "".join(f"{note}\n" for note in getattr(error, "__notes__", []))
    return f"Error: {type(error).__name__}: {error}\n{notes}This should not happen. --debug shows where it did.", 1


def end_at_once(number: int, frame: FrameType | None) -> None:
    """End as Ctrl-C does, which lets what is half done be taken away."""
    asked.append(number)
    raise Interrupted(number)


def process_age() -> float:
    """Seconds since this process began, so that a budget covers Python's own start; 0 where that is not known.

    A shell may become the command (`sh -c "slow; engram ..."`) and keep its own start time: an age that
    no start of Python has is therefore not believed.
    """
    try:
        fields = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
        age = time.clock_gettime(time.CLOCK_BOOTTIME) - int(fields[19]) / os.sysconf("SC_CLK_TCK")
    except (OSError, ValueError, IndexError, AttributeError):
        return 0.0
    return age if 0 <= age < 10 else 0.0


@click.group(
    cls=Verbs, epilog=EXAMPLES, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100}
)
@click.version_option(__version__, prog_name="engram")
def cli() -> None:
    """From your data to a deep network that you can understand, trust and use."""
