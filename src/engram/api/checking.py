"""`check`: what the first minute of a training checks of a network of one's own, by itself."""

from __future__ import annotations

import math
from typing import Any

from engram.api import networks, planning
from engram.api.bringing import Brought
from engram.api.requests import DataRequest, PlanRequest, taken
from engram.core import events
from engram.train.check import Checked
from engram.train.check import check as check_batch

SECONDS = 10.0
"""Time for all checks: more than within a training, as nothing waits for them."""


def check(
    model: Any,
    data: Any,
    *,
    device: str | None = None,
    recipe: str = "standard",
    settings: dict[str, Any] | None = None,
    seconds: float = SECONDS,
    **options: Any,
) -> Checked:
    """Send one real batch through a network in a few ways, on a copy.

        print(engram.check(MyNet(), dataset, step=step))

    Takes what `train` takes; options: those of `Brought`, or of `DataRequest` where there is no step. Raises
    ConfigError where the step fails, or gives a loss that nothing can be learned from.
    """
    wanted = PlanRequest(model=model, device=device, recipe=recipe, settings=settings)
    brought, asked = taken(Brought, options), DataRequest.of(options)
    brought.refuse_wrong(asked, model=model)
    with events.listening():
        read = brought.read(data, asked, deadline=None)
        planning.follow_recipe(read, recipe)
        plan = planning.foundation(read, device=device, seed=asked.seed, recipe=recipe)
        network, _ = networks.choose(
            read, plan, size=None, model=model, settings=wanted.settings or {}, seconds_left=lambda cost: math.inf
        )
        networks.initialise(network, read)
        return check_batch(read.task, network, read.examples, plan, seconds=seconds)
