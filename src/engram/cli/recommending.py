"""The verb that recommends."""

from __future__ import annotations

from typing import Any

import click

from engram.cli.options import DEBUG, DEVICE, JSON


@click.command(
    epilog="""\b
Examples:
  engram recommend runs/ratings --user 42 -k 10
  engram recommend runs/ratings --history "Toy Story (1995), Heat (1995)"     somebody new
  engram recommend runs/ratings --like "Toy Story" --where genres=Comedy
  engram recommend runs/ratings --user 42 --user 43 --include-seen --json
"""
)
@click.argument("run")
@click.option("--user", multiple=True, metavar="NAME", help="A user of the data; repeat for several.")
@click.option("--history", metavar="ITEMS", help="What somebody took, the latest last, with commas: names or titles.")
@click.option("--like", metavar="ITEM", help="Find what is like an item.")
@click.option("-k", type=click.IntRange(min=1), default=10, show_default=True, metavar="N", help="So many items.")
@click.option(
    "--exclude-seen/--include-seen", default=True, show_default=True, help="Whether to leave out what was taken before."
)
@click.option(
    "--where",
    multiple=True,
    metavar="CONDITION",
    help="Only items such as genres=Comedy or year>=1990; repeat for all.",
)
@DEVICE
@JSON
@DEBUG
def recommend(run: str, user: tuple[str, ...], as_json: bool, where: tuple[str, ...], **options: Any) -> None:
    """Recommend items by RUN, which was trained on who took what.

    To users of its data, by name (--user), to anybody by what they took (--history), or what is like an item (--like).
    Beside each item stands what speaks most for it. With --json: one object per user.
    """
    from engram import api, console

    asked = list(user) if len(user) > 1 else user[0] if user else None
    with console.showing(as_json, events=False):
        found = api.recommend(run, user=asked, where=list(where), **options)
    for answer in found if isinstance(found, list) else [found]:
        if as_json:
            console.print_json(answer)
        else:
            console.show_recommendations(answer)
