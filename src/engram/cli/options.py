"""Options that several verbs share, each said once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click


def _remember_debug(ctx: click.Context, parameter: click.Parameter, value: bool) -> None:
    ctx.meta["engram.debug"] = value


def together(*options: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Several options as one decorator, so that the verbs that share them say so once."""

    def decorate(function: Any) -> Any:
        for option in reversed(options):
            function = option(function)
        return function

    return decorate


def settings(ctx: click.Context, parameter: click.Parameter, pairs: tuple[str, ...]) -> dict[str, str]:
    """`--set batch_size=256` -> {"batch_size": "256"}; the plan knows what kind of value each name takes."""
    for pair in pairs:
        if not pair.partition("=")[0] or "=" not in pair:
            raise click.BadParameter(f"expected KEY=VALUE, such as batch_size=256; got {pair!r}")
    return {name: text for name, _, text in (pair.partition("=") for pair in pairs)}


def typed(options: dict[str, Any]) -> dict[str, Any]:
    """Options as the API takes them: a repeated option given once is that one value, not given is None."""
    singles = {name: (value or (None,)) for name, value in options.items() if isinstance(value, tuple)}
    return {**options, **{name: list(value) if len(value) > 1 else value[0] for name, value in singles.items()}}


DEBUG = click.option("--debug", is_flag=True, expose_value=False, callback=_remember_debug, help="Show tracebacks.")

JSON = click.option("--json", "as_json", is_flag=True, help="Print only JSON on stdout.")

DEVICE = click.option(
    "--device", metavar="NAME", help="cpu, cuda or mps (default: the best to train on, the CPU to answer)."
)

OWN_NETWORK = together(
    click.option("--model", metavar="FILE:NAME", help="Your own network, where the run was trained with one."),
    click.option("--trust-source", is_flag=True, help="Execute the copy of your own network that the run holds."),
)

READING = together(
    click.option("--task", metavar="NAME", help="What to learn (default: inferred, with reasons)."),
    click.option("--target", metavar="COLUMN", multiple=True, help="Column to predict; repeat for several labels."),
    click.option(
        "--input",
        "--source",
        metavar="COLUMN",
        multiple=True,
        help="Column to learn from; the language to translate; users, then items, to recommend.",
    ),
    click.option(
        "--split",
        metavar="COLUMN|time|random",
        help="Column that says train, val or test; interactions of users can be divided by time or at random.",
    ),
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

PLANNING = together(
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
        callback=settings,
        help="Change a number of the plan by its printed name.",
    ),
)


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


class Reading(click.Command):
    """A verb that reads data, and takes what features let the user decide: `--tokenizer`, `--horizon`."""

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        """The verb's own options and those."""
        from engram.api import wishes

        *own, help_option = super().get_params(ctx)
        return [*own, *map(_wish_option, wishes()), help_option]


def _wish_option(wish: Any) -> click.Option:
    kind = click.Choice(wish.choices) if wish.choices else wish.kind
    said = f"{wish.help[:1].upper()}{wish.help[1:]}."
    return click.Option([f"--{wish.name}"], type=kind, multiple=wish.several, metavar=wish.metavar, help=said)


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
