"""The verbs that hand a model on: `export`, `serve`, `promote`."""

from __future__ import annotations

from typing import Any

import click

from engram.cli.options import DEBUG, DEVICE, JSON, OWN_NETWORK, settings
from engram.core.errors import ConfigError


@click.command(
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
        return {name: float(text) for name, text in settings(ctx, parameter, pairs).items()}
    except ValueError:
        raise click.BadParameter(f"expected METRIC=NUMBER, such as accuracy=0.9; got {', '.join(pairs)}") from None


REGISTRY = click.option(
    "--registry", default="registry", show_default=True, metavar="DIR", help="Where promoted versions are kept."
)


@click.command(
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
    "--set", "limits", metavar="LIMIT=VALUE", multiple=True, callback=settings, help="Change a limit by its name."
)
@click.option("--log", metavar="FILE", help="Add a line of JSON to FILE for each request.")
@click.option("--log-bodies", is_flag=True, help="With what was asked and answered.")
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


@click.command(
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
