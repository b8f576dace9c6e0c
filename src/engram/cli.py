"""The command line: every verb is one function of `engram.api`, called with what was typed.

Nothing here imports torch: `engram --help` answers at once.
"""

from __future__ import annotations

import io
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import click

from engram import __version__
from engram.cli_writing import chat, generate
from engram.core.errors import ConfigError, EngramError, Interrupted, LostProcessError, Stopped, nearest
from engram.core.machine import process_rank, wait_passively

EXAMPLES = """\b
Examples:
  engram demo                                   bundled pictures, about a minute
  engram inspect photos/                        what is in it, what would be trained
  engram train photos/ --budget 10m             one folder of pictures per class
  engram train labels.csv --target kind         a table of paths, or of texts, with labels
  engram train parallel/ --source en --target de   train.en beside train.de
  engram predict runs/photos cat.jpg new/*.jpg  answers with probabilities
  engram evaluate runs/photos test/             scores with intervals
  engram generate runs/plays --prompt 'ROMEO:'  what a language model writes on
  engram export runs/photos --to onnx           the model for use elsewhere
  engram serve runs/photos                      answers over HTTP, and a page to try it
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


_asked: list[int] = []
"""The signals that asked for the end at once."""


def _told(error: BaseException) -> tuple[str, int]:
    """What to print for an exception, and the exit code."""
    if isinstance(error, Stopped):
        return str(error), error.exit_code
    if _asked:  # whatever a library made of it on the way
        return "Stopped.", 128 + _asked[0]
    if isinstance(error, EngramError):
        return "\n".join([f"Error: {error}", *getattr(error, "__notes__", [])]), error.exit_code
    if isinstance(error, KeyboardInterrupt):
        return "Stopped.", 130
    if isinstance(error, OSError):
        return f"Error: {error}", 1
    notes = "".join(f"{note}\n" for note in getattr(error, "__notes__", []))
    return f"Error: {type(error).__name__}: {error}\n{notes}This should not happen. --debug shows where it did.", 1


def _remember_debug(ctx: click.Context, parameter: click.Parameter, value: bool) -> None:
    ctx.meta["engram.debug"] = value


def _options(*options: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Several options as one decorator, so that the verbs that share them say so once."""

    def decorate(function: Any) -> Any:
        for option in reversed(options):
            function = option(function)
        return function

    return decorate


class Answering(click.Command):
    """A verb that takes the options of the run's task too: `--beam` where it translates."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Find the run among the arguments, then read them all."""
        named = next((word for word in args if Path(word).is_dir()), None)
        own = {parameter.name for parameter in self.params}
        ctx.meta["engram.options"] = [option for option in _task_options(named) if option.name not in own]
        return super().parse_args(ctx, args)

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        """The verb's own options and the task's."""
        *own, help_option = super().get_params(ctx)
        return [*own, *ctx.meta.get("engram.options", ()), help_option]


def _task_options(run: str | None) -> list[click.Option]:
    """The options of a run's task, each without a default here: the task has its own."""
    if run is None:
        return []
    from engram.api.prediction import option_fields

    return [
        click.Option(
            ["--" + field.name.replace("_", "-")],
            type=type(field.default),
            metavar="N",
            help=f"{field.metadata.get('help', '').capitalize()} [default: {field.default}].",
        )
        for field in option_fields(run)
    ]


def _settings(ctx: click.Context, parameter: click.Parameter, pairs: tuple[str, ...]) -> dict[str, str]:
    """`--set batch_size=256` -> {"batch_size": "256"}; the plan knows what kind of value each name takes."""
    for pair in pairs:
        if not pair.partition("=")[0] or "=" not in pair:
            raise click.BadParameter(f"expected KEY=VALUE, such as batch_size=256; got {pair!r}")
    return {name: text for name, _, text in (pair.partition("=") for pair in pairs)}


DEBUG = click.option("--debug", is_flag=True, expose_value=False, callback=_remember_debug, help="Show tracebacks.")
JSON = click.option("--json", "as_json", is_flag=True, help="Print only JSON on stdout.")
DEVICE = click.option(
    "--device", metavar="NAME", help="cpu, cuda or mps (default: the best to train on, the CPU to answer)."
)

OWN_NETWORK = _options(
    click.option("--model", metavar="FILE:NAME", help="Your own network, where the run was trained with one."),
    click.option("--trust-source", is_flag=True, help="Execute the copy of your own network that the run holds."),
)

READING = _options(
    click.option("--task", metavar="NAME", help="What to learn (default: inferred, with reasons)."),
    click.option("--target", metavar="COLUMN", multiple=True, help="Column to predict; repeat for several labels."),
    click.option(
        "--input", "--source", metavar="COLUMN", multiple=True, help="Column to learn from; the language to translate."
    ),
    click.option("--split", metavar="COLUMN", help="Column that says train, val or test."),
    click.option(
        "--group",
        metavar="COLUMN|PATTERN",
        help="Rows of one group stay on one side of a split: a column, or a pattern over file names "
        "such as 'patient(\\d+)'.",
    ),
)
APPLY = click.option(
    "--apply", metavar="FIXES.csv", help="See the data as a file of fixes makes it; no file of the data is changed."
)
PLANNING = _options(
    click.option(
        "--tokenizer",
        type=click.Choice(["bytes", "characters", "subwords", "words"]),
        help="What texts are cut into (default: what suits task and data).",
    ),
    click.option("--budget", metavar="TIME", help="Upper bound for everything, such as 90s, 10m or 2h."),
    click.option("--epochs", type=float, metavar="N", help="Passes over the training rows, in place of a budget."),
    click.option("--steps", type=int, metavar="N", help="Steps of the optimizer, in place of a budget."),
    click.option("--model", metavar="FILE:NAME", help="Your own network: a torch.nn.Module or what makes one."),
    click.option("--size", type=click.Choice(["small", "medium", "large"]), help="Of the network (default: planned)."),
    click.option(
        "--recipe",
        type=click.Choice(["standard", "plain"]),
        default="standard",
        show_default=True,
        help="plain: the loop one would have written by hand (AdamW, float32, nothing unasked).",
    ),
    click.option("--seed", type=int, default=0, show_default=True, help="For the split and all randomness."),
    click.option(
        "--set",
        "settings",
        metavar="KEY=VALUE",
        multiple=True,
        callback=_settings,
        help="Change a number of the plan by its printed name.",
    ),
)


@click.group(
    cls=Verbs, epilog=EXAMPLES, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100}
)
@click.version_option(__version__, prog_name="engram")
def cli() -> None:
    """From your data to a deep network that you can understand, trust and use."""


@cli.command(
    epilog="""\b
Examples:
  engram train photos/                      chooses and prints a budget and a run name
  engram train photos/ --budget 10m --out runs/cats
  engram train scans.csv --target finding --group patient
  engram train parallel/ --source en --target de
  engram train --resume runs/cats           go on where it was stopped
  engram train photos/ --from runs/cats     start from weights learned before
  engram train photos/ --apply fixes.csv    with rows left out and relabelled, as inspect proposed
"""
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
    JSONL or Parquet file, text or a folder of it, parallel text (train.en beside train.de), conversations as JSONL,
    an IDX or an .npz file.
    """
    from engram import api, console

    with console.showing(as_json):
        callbacks = [api.TensorBoard()] if tensorboard else []
        api.train(data, started=started, callbacks=callbacks, **_typed(options))


@cli.command(
    epilog="""\b
Examples:
  engram inspect photos/
  engram inspect labels.csv --target kind --json
  engram inspect photos/ --thorough               look for wrong labels too
  engram inspect photos/ --fixes fixes.csv        write what could be mended, to edit and apply
"""
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
        inspection = api.inspect(data, **_typed(options))
    if as_json:
        console.print_json(inspection.as_dict())
    else:
        console.show_inspection(inspection.as_dict(), fixes=options["fixes"])
        if inspection.summary["classes"] and not (options["thorough"] or options["fixes"]):
            click.echo("Wrong labels were not looked for; --thorough does it, in about 45 seconds.")


@cli.command(
    cls=Answering,
    epilog="""\b
Examples:
  engram predict runs/photos cat.jpg
  engram predict runs/photos new/ --csv > answers.csv
  find . -name '*.jpg' | engram predict runs/photos - --json
  engram predict runs/reviews "not bad at all" --explain
  engram predict runs/reviews new.csv             or lines of a .txt, or - for lines on stdin
  engram predict runs/en-de - < in.txt > out.txt  translate, line by line
\b
What else a run's task lets you choose is said by: engram predict RUN --help
""",
)
@click.argument("run")
@click.argument("items", nargs=-1, required=True)
@click.option("--top", type=click.IntRange(min=1), metavar="K", help="Show the K most probable labels.")
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV, one line per item.")
@click.option("--explain", is_flag=True, help="Show what each word of a text does to the answer.")
@OWN_NETWORK
@DEVICE
@JSON
@DEBUG
def predict(run: str, items: tuple[str, ...], as_json: bool, as_csv: bool, **options: Any) -> None:
    """Answer for ITEMS: files, folders or patterns; for a run that reads texts, the texts themselves.

    Of texts, an item that is the name of a file or folder is read: the lines of a file, the longest column of
    texts of a table, the .txt files of a folder, each a text. Anything else is a text as it stands. Answers that
    are texts are printed as they are, one a line.
    - stands for what is on stdin, one a line: texts, or else paths. With --json, one object per line. An item
    that cannot be read has an error in place of its answer, and the exit code is then 1.
    """
    from engram import api, console

    if as_json and as_csv:
        raise ConfigError("expected one form of output; got --json and --csv. Give one of them.")
    ranked = options["top"] is not None
    options = {name: value for name, value in options.items() if value is not None}  # the task has its own defaults
    answers = api.predict(run, items, stdin=sys.stdin, **options)
    if as_json:
        for answer in answers:
            console.print_json(answer)
    elif as_csv:
        console.print_csv(answers)
    else:
        console.show_answers(answers, ranked=ranked)
        console.show_words(answers)
    if unread := sum("error" in answer for answer in answers):
        click.echo(f"{unread} of {len(answers)} items could not be read; their answers say why.", err=True)
        raise SystemExit(1)


@cli.command(
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
        scores = api.evaluate(run, data, **_typed(options))
    if as_json:
        console.print_json(scores)
    else:
        console.show_scores(scores)


for _verb in (generate, chat):
    cli.add_command(_options(DEVICE, JSON, DEBUG)(_verb))


@cli.command(epilog="\b\nExample:\n  engram compare runs/photos runs/photos-2\n")
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


@cli.command(
    epilog="""\b
Examples:
  engram export runs/photos --to onnx               runs/photos/export/model.onnx, for onnxruntime
  engram export runs/photos --to eject --out mine   a folder with a script of plain PyTorch
"""
)
@click.argument("run")
@click.option(
    "--to",
    type=click.Choice(["onnx", "torch", "safetensors", "eject"]),
    required=True,
    help="ONNX, a torch.export program, the weights alone, or a folder with plain PyTorch source.",
)
@click.option("--out", metavar="FILE", help="Where to (default: the run's own folder export/).")
@click.option("--data", metavar="DATA", help="What RUN was trained on, where it has moved since.")
@OWN_NETWORK
@JSON
@DEBUG
def export(run: str, as_json: bool, **options: Any) -> None:
    """Write RUN's model for use without engram.

    What is written is run in a process of its own on validation rows, and refused where it answers otherwise.
    """
    from engram import api, console

    with console.showing(as_json, events=False):
        written = api.export(run, **options)
    if as_json:
        console.print_json(written.as_dict())
    else:
        click.echo("\n".join(written.sentences()))


def _bounds(ctx: click.Context, parameter: click.Parameter, pairs: tuple[str, ...]) -> dict[str, float]:
    """`--least accuracy=0.9` -> {"accuracy": 0.9}."""
    try:
        return {name: float(text) for name, text in _settings(ctx, parameter, pairs).items()}
    except ValueError:
        raise click.BadParameter(f"expected METRIC=NUMBER, such as accuracy=0.9; got {', '.join(pairs)}") from None


REGISTRY = click.option(
    "--registry", default="registry", show_default=True, metavar="DIR", help="Where promoted versions are kept."
)


@cli.command(
    epilog="""\b
Examples:
  engram serve runs/photos                        http://127.0.0.1:8000, as "photos"
  engram serve cats=runs/photos mood=runs/tweets  several, by name
  engram serve                                    what has been promoted
  engram serve runs/photos --host 0.0.0.0 --token-file token.txt
"""
)
@click.argument("runs", nargs=-1, metavar="[[NAME=]RUN]...")
@click.option("--port", type=click.IntRange(0, 65535), default=8000, show_default=True, help="0: any that is free.")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--hostname", "hostnames", multiple=True, metavar="NAME", help="Further name that clients call it by.")
@click.option("--token-file", type=click.File(), help="Holds the token that clients send (or ENGRAM_TOKEN).")
@REGISTRY
@click.option(
    "--set", "limits", metavar="LIMIT=VALUE", multiple=True, callback=_settings, help="Change a limit by its name."
)
@OWN_NETWORK
@DEVICE
@JSON
@DEBUG
def serve(runs: tuple[str, ...], token_file: Any, as_json: bool, **options: Any) -> None:
    """Answer over HTTP with RUNs, and offer a page to try them.

    Only this machine can reach the server unless --host says otherwise, which needs a token. SIGTERM or Ctrl-C
    ends it after what waits has been answered.
    """
    from engram import api, console

    token = token_file.read().strip() if token_file else ""
    with console.showing(as_json):
        api.serve(runs, token=token, **options)


@cli.command(
    epilog="""\b
Examples:
  engram promote runs/photos-2 photos --least accuracy=0.9
  engram promote --undo photos
"""
)
@click.argument("words", nargs=-1, required=True, metavar="[RUN] NAME")
@click.option("--least", metavar="METRIC=VALUE", multiple=True, callback=_bounds, help="What every version must reach.")
@click.option("--undo", is_flag=True, help="Go back to what NAME served before.")
@REGISTRY
@OWN_NETWORK
@JSON
@DEBUG
def promote(words: tuple[str, ...], undo: bool, as_json: bool, **options: Any) -> None:
    """Let NAME serve RUN from now on, without a dropped request.

    Refused where RUN does not reach what --least says, now or at an earlier promotion; errors such as cross_entropy
    may at most be that.
    """
    from engram import api, console

    if len(words) != (1 if undo else 2):
        raise ConfigError(f"expected {'NAME' if undo else 'RUN and NAME'}; got {' '.join(words)}")
    promoted = api.promote(None if undo else words[0], words[-1], undo=undo, **options)
    if as_json:
        console.print_json(promoted)
    else:
        console.show_promotion(promoted)


@cli.command()
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


@cli.command(
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


def _typed(options: dict[str, Any]) -> dict[str, Any]:
    """Options as the API takes them: a repeated option given once is that one value, not given is None."""
    singles = {name: (value or (None,)) for name, value in options.items() if isinstance(value, tuple)}
    return {**options, **{name: list(value) if len(value) > 1 else value[0] for name, value in singles.items()}}


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


def main() -> None:
    """Run the command `engram`."""
    wait_passively()  # before any verb imports torch
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        if hasattr(signal, name) and signal.getsignal(getattr(signal, name)) is not signal.SIG_IGN:
            signal.signal(getattr(signal, name), _end_at_once)
    if isinstance(sys.stdout, io.TextIOWrapper):
        # Names of files may hold what the terminal's encoding does not; in JSON this writes the escape for it.
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        cli(obj=time.monotonic() - process_age(), prog_name="engram")
    except SystemExit as leaving:
        sys.exit(128 + _asked[0] if _asked else leaving.code)


def _end_at_once(number: int, frame: FrameType | None) -> None:
    """End as Ctrl-C does, which lets what is half done be taken away."""
    _asked.append(number)
    raise Interrupted(number)
