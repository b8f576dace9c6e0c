"""The first minute: does this network learn from these examples by this step as its maker believes it does?

One real batch goes through the step in a few ways, on a copy of the network. What would waste hours is found in about
a second: a parameter that no gradient reaches, a loss that is a sum where a mean is expected, examples that leak into
one another, a network that cannot even learn a handful of examples by heart.

Shapes: B examples, C classes.
"""

from __future__ import annotations

import contextlib
import copy
import dataclasses
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from engram.core import events
from engram.core.errors import ConfigError, EngramError
from engram.core.task import Batch, Task, tensors_in
from engram.data.examples import Examples
from engram.optim.build import Optimization, optimizers, set_learning_rate
from engram.train.plan import Plan
from engram.train.precision import autocast
from engram.train.trainer import place

EXAMPLES = 16

STEPS = 40
LEARNED = 0.3
"""A handful of examples counts as learned when the loss has fallen by this share within so many steps."""

MOST_TRIED = 20
"""Examples that are looked through for one of a fitting length."""

CLOSE = 1e-3
"""Relative difference that another order of summation explains in float32."""

BFLOAT16 = 0.1
"""The same for bfloat16, whose numbers have three digits."""


@dataclass(frozen=True)
class Check:
    """One question and its answer. message: what was expected and received.

    verdict: "ok", "warning", "skipped" (for want of time or examples), or "idle" where there is nothing to ask.
    """

    name: str
    verdict: str
    message: str


@dataclass
class Checked:
    """What was found, in the order in which it was asked."""

    checks: list[Check] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def ok(self) -> bool:
        """Whether nothing has to be looked at."""
        return all(one.verdict != "warning" for one in self.checks)

    def __getitem__(self, name: str) -> Check:
        return next(one for one in self.checks if one.name == name)

    def __str__(self) -> str:
        good = [one.message for one in self.checks if one.verdict == "ok"]
        left = [f"{one.name} ({one.message})" for one in self.checks if one.verdict == "skipped"]
        lines = [f"Checked on one real batch in {self.seconds:.1f} s: {'; '.join(good)}."]
        lines += [f"Not checked: {'; '.join(left)}."] if left else []
        return "\n".join(lines + [f"{one.name}: {one.message}" for one in self.checks if one.verdict == "warning"])


def check(task: Task, network: nn.Module, examples: Examples, plan: Plan, *, seconds: float) -> Checked:
    """Ask everything of a copy of the network; it, and all random states, stay as they were.

    seconds: what all of it may take; what would take longer is left out, and named.
    ConfigError where the step fails, or gives a loss that nothing can be learned from.
    """
    began = time.monotonic()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(plan.seed)
        bench = Bench(task, place(copy.deepcopy(network), plan), examples, plan, began + seconds)
        found = Checked([step(bench), *(_asked(question, bench) for question in QUESTIONS)])
    found.seconds = round(time.monotonic() - began, 2)
    return found


def _asked(question: Callable[[Bench], Check], bench: Bench) -> Check:
    if bench.until < time.monotonic():
        return Check(question.__name__, "skipped", "a step of this network takes too long for it")
    return question(bench)


def tell(found: Checked) -> None:
    """One line where all is well, and the details where it is not."""
    first, *rest = str(found).split("\n")
    events.note(first)
    for line in rest:
        (events.note if line.startswith("Not checked") else events.warn)(line)


class Bench:
    """The network on the bench: a batch of some examples, and ways to send it through."""

    def __init__(self, task: Task, network: nn.Module, examples: Examples, plan: Plan, until: float) -> None:
        self.task, self.network, self.examples, self.plan, self.until = task, network, examples, plan, until
        rows = examples.splits["train"]
        self.rows = rows[np.linspace(0, len(rows) - 1, min(EXAMPLES, plan.micro_batch, len(rows))).astype(np.int64)]
        self.batch = self.load(self.rows)
        self.device = torch.device(plan.device)

    def load(self, rows: np.ndarray) -> Batch:
        """Some training examples on the plan's device."""
        batch = self.examples.batch(rows, seed=self.plan.seed)
        return batch.to(self.plan.device, channels_last=self.plan.channels_last)

    def mean(self, *batches: Batch, precision: str = "float32") -> Tensor:
        """The loss over some micro-batches, as the engine divides it."""
        with autocast(precision, self.device):
            steps = [self.task.step(self.network, batch) for batch in batches]
        return torch.stack([s.loss_sum.float() for s in steps]).sum() / sum(float(s.weight) for s in steps)

    def gradient(self, *batches: Batch, precision: str = "float32") -> Tensor:
        """All gradients of that loss as one vector, in evaluation mode, in which nothing is random."""
        self.network.eval().zero_grad()
        with torch.backends.cudnn.flags(enabled=False):  # whose recurrent layers go back in training mode alone
            self.mean(*batches, precision=precision).backward()
        return torch.cat([p.grad.flatten().float() for p in self.network.parameters() if p.grad is not None])

    def output(self, batch: Batch, *, training: bool) -> list[Tensor]:
        """What the network gives each example, whatever the step makes of it; the same luck every time."""
        self.network.train(training)
        torch.manual_seed(self.plan.seed)
        kept: list[Any] = []
        handle = self.network.register_forward_hook(lambda module, inputs, output: kept.append(output))
        try:
            with torch.no_grad():
                self.task.step(self.network, batch)
        finally:
            handle.remove()
        found = tensors_in(kept[-1]) if kept else []
        return [t.float() for t in found if t.ndim and len(t) == len(batch)]


def step(bench: Bench) -> Check:
    """The step runs, and gives one finite loss with gradients. ConfigError where it does not."""
    with explaining(bench.network, bench.batch):
        made = bench.task.step(bench.network.train(), bench.batch)
    loss = made.loss_sum.item() / float(made.weight)
    if not made.loss_sum.requires_grad:
        raise ConfigError(
            "expected a loss with gradients; this one hangs on no parameter of the network. Was it detached, or made "
            "under torch.no_grad()?"
        )
    if not math.isfinite(loss):
        raise ConfigError(
            f"expected a finite loss; the first is {loss}. Look at what the step divides by and takes the logarithm of."
        )
    return Check("step", "ok", f"the loss is {loss:.3g}")


def start(bench: Bench) -> Check:
    """A classifier that has learned nothing holds all classes equally likely: its loss is ln C."""
    output = [o for o in bench.output(bench.batch, training=False) if o.ndim == 2 and o.shape[1] > 1]
    classes = output[-1].shape[1] if output else 0
    targets = [t for t in tensors_in(vars(bench.batch)) if t.dtype == torch.int64 and t.shape == (len(bench.batch),)]
    if not classes or not any(int(t.min()) >= 0 and int(t.max()) < classes for t in targets):
        return Check("start", "idle", "the output is not logits of classes, so that no first loss is expected")
    with torch.no_grad():
        loss, expected = float(bench.mean(bench.batch)), math.log(classes)
    said = f"ln {classes} = {expected:.3g}, where nothing is known"
    advice = ""
    if loss > 3 * expected:
        advice = "Are inputs on a common scale, and the last layer's weights small?"
    elif loss < expected / 3:
        advice = "Has the network learned before, or can it see the label among its inputs?"
    if advice:
        return Check("start", "warning", f"expected a first loss near {said}; received {loss:.3g}. {advice}")
    return Check("start", "ok", f"near {said}")


def gradients(bench: Bench) -> Check:
    """A gradient reaches every parameter that is to be learned."""
    bench.network.train().zero_grad()
    bench.mean(bench.batch).backward()
    lacking = without_gradient(bench.network)
    if not lacking:
        return Check("gradients", "ok", "gradients reach every parameter")
    shown = ", ".join(lacking[:6]) + (f" and {len(lacking) - 6} more" if len(lacking) > 6 else "")
    return Check(
        "gradients",
        "warning",
        f"expected gradients for every parameter; none reaches {shown}. Such a parameter is never learned: is it "
        "unused, or detached on the way? If it is meant to stay as it is: requires_grad_(False).",
    )


def without_gradient(network: nn.Module) -> list[str]:
    """Names of the parameters to be learned that the last backward pass did not reach."""
    return [name for name, p in network.named_parameters() if p.requires_grad and p.grad is None]


def accumulation(bench: Bench) -> Check:
    """A batch in two unequal pieces gives the gradient of the whole."""
    cut = max(1, len(bench.rows) // 3)
    if bench.task.couples_examples:
        return Check("accumulation", "idle", "the task says that examples are coupled")
    if len(bench.rows) < 3:
        return Check("accumulation", "skipped", "there are too few examples")
    whole = bench.gradient(bench.batch)
    pieces = bench.gradient(bench.load(bench.rows[:cut]), bench.load(bench.rows[cut:]))
    apart = float((pieces - whole).norm() / whole.norm().clamp(min=1e-12)) if pieces.shape == whole.shape else math.inf
    if apart <= CLOSE:
        return Check("accumulation", "ok", "two pieces give the gradient of the whole batch")
    return Check(
        "accumulation",
        "warning",
        f"expected of two pieces of a batch the gradient of the whole; received one {apart:.2g} of its length away. A "
        "loss must be the mean over the batch's examples; where it is a sum, or a mean over something else (tokens, "
        "weights), return engram.Step(loss_sum, weight, output). Where examples depend on one another, keep batches "
        'whole: settings={"micro_batch": ...} as large as the batch.',
    )


def bfloat16(bench: Bench) -> Check:
    """In bfloat16 the network pulls in about the direction of float32."""
    if bench.plan.precision != "bfloat16":
        return Check("bfloat16", "idle", "float32 is used")
    exact, rough = bench.gradient(bench.batch), bench.gradient(bench.batch, precision="bfloat16")
    apart = 1 - float(nn.functional.cosine_similarity(exact, rough, dim=0)) if exact.shape == rough.shape else math.nan
    if apart <= BFLOAT16:
        return Check("bfloat16", "ok", "bfloat16 gives the gradient of float32")
    return Check(
        "bfloat16",
        "warning",
        f"expected in bfloat16 about the gradient of float32; received one that points elsewhere "
        f"(1 - cosine {apart:.2g}).",
    )


def independence(bench: Bench) -> Check:
    """Another example in the first place changes no other example's output."""
    train = bench.examples.splits["train"]
    others = train[~np.isin(train, bench.rows)]
    if len(bench.rows) < 2 or not len(others):
        return Check("independence", "skipped", "there are too few examples")
    changed = _like(bench, others)
    if changed is None:
        return Check("independence", "idle", "the examples are of too different lengths")
    answers, training = (_leak(bench, changed, training=mode) for mode in (False, True))
    if answers is None or training is None:
        return Check("independence", "idle", "the network gives no output per example, or of varying shape")
    if answers > CLOSE:
        return Check(
            "independence",
            "warning",
            f"expected each example's output to be its own; with another first example, those of others change by "
            f"{answers:.2g} in evaluation mode. Is an axis mixed up, or something taken over the whole batch?",
        )
    norms = sorted(
        {type(m).__name__ for m in bench.network.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)}
    )
    if training <= CLOSE:
        return Check("independence", "ok", "examples do not leak into one another")
    if norms:
        return Check("independence", "ok", f"examples meet in {' and '.join(norms)} alone, in training only")
    return Check(
        "independence",
        "warning",
        f"expected each example's output to be its own; in training, those of others change by {training:.2g} with "
        "another first example, and there is no BatchNorm. If that is meant, keep batches whole.",
    )


def _like(bench: Bench, others: np.ndarray) -> Batch | None:
    """The batch with another first example that leaves all shapes as they are, by which random numbers go."""
    expected = [tensor.shape for tensor in tensors_in(vars(bench.batch))]
    for other in others[:MOST_TRIED]:
        changed = bench.load(np.concatenate([[other], bench.rows[1:]]))
        if [tensor.shape for tensor in tensors_in(vars(changed))] == expected:
            return changed
    return None


def _leak(bench: Bench, changed: Batch, *, training: bool) -> float | None:
    """How much the outputs of all but the first example differ, relatively; None where that cannot be said."""
    before, after = bench.output(bench.batch, training=training), bench.output(changed, training=training)
    if not before or [t.shape for t in before] != [t.shape for t in after]:
        return None
    return max(float((a[1:] - b[1:]).norm() / b[1:].norm().clamp(min=1e-6)) for a, b in zip(after, before, strict=True))


def overfitting(bench: Bench) -> Check:
    """The network can learn a handful of examples by heart, with the plan's rates or with higher ones."""
    begin = copy.deepcopy(bench.network.state_dict())
    for numbers in (bench.plan.optimizer, QUICK):
        bench.network.load_state_dict(begin)
        losses = _learning(bench, dataclasses.replace(numbers, weight_decay=0.0))
        if len(losses) < STEPS:
            return Check("overfitting", "skipped", "a step of this network takes too long for it")
        first, lowest = losses[0], min(losses)
        said = f"{len(bench.rows)} examples in {STEPS} steps: loss {first:.3g} to {lowest:.3g}"
        if first - lowest >= LEARNED * abs(first):
            return Check("overfitting", "ok", f"it can learn {said}")
    return Check(
        "overfitting",
        "warning",
        f"expected a network that can learn a handful of examples by heart; received, with {said}. Do inputs and "
        "targets belong together, and does the loss fall when the answer gets better?",
    )


def _learning(bench: Bench, numbers: Optimization) -> list[float]:
    """The losses of some steps on the one batch; fewer where there is no time for all."""
    made, began = optimizers(bench.network.train(), numbers), time.monotonic()
    losses: list[float] = []
    while len(losses) < STEPS:
        set_learning_rate(made, 1 - len(losses) / STEPS)
        loss = bench.mean(bench.batch, precision=bench.plan.precision)
        loss.backward()
        for optimizer in made:
            optimizer.step()
            optimizer.zero_grad()
        losses.append(loss.item())
        if began + (time.monotonic() - began) * STEPS / len(losses) > bench.until and len(losses) > 2:
            break
    return losses


QUICK = Optimization(learning_rate=0.01, head_learning_rate=0.01, vector_learning_rate=0.01, muon_learning_rate=0.0)

QUESTIONS: tuple[Callable[[Bench], Check], ...] = (
    start, gradients, accumulation, bfloat16, independence, overfitting,
)  # fmt: skip
"""What is asked once a step is known to run, the cheapest first."""


@contextlib.contextmanager
def explaining(network: nn.Module, batch: Batch) -> Iterator[None]:
    """Within the block, a failure of the user's code becomes a ConfigError that says where, and with what shapes."""
    trail: list[tuple[str, nn.Module, list[tuple[int, ...]]]] = []
    handles = []
    for name, module in network.named_modules():

        def enter(module: nn.Module, inputs: Any, name: str = name) -> None:
            trail.append((name, module, [tuple(t.shape) for t in tensors_in(inputs)]))

        handles += [
            module.register_forward_pre_hook(enter),
            module.register_forward_hook(lambda *_: trail.pop() and None),
        ]
    try:
        yield
    except EngramError:
        raise
    except Exception as error:  # whatever the user's own code raises
        raise ConfigError(
            f"expected a step that runs; {_where(trail, batch)}{type(error).__name__}: {error}"
        ) from error
    finally:
        for handle in handles:
            handle.remove()


def _where(trail: list[tuple[str, nn.Module, list[tuple[int, ...]]]], batch: Batch) -> str:
    if not trail:
        return f"with a batch of {', '.join(str(tuple(t.shape)) for t in tensors_in(vars(batch)))}: "
    name, module, inputs = trail[-1]
    kind = f"{type(module).__name__}({module.extra_repr()})" if not list(module.children()) else type(module).__name__
    received = " and ".join(map(str, inputs)) or "nothing"
    return f"{f'{name}, ' if name else ''}{kind}, received {received}: "


def failure(task: Task, network: nn.Module, batch: Batch) -> str:
    """Say where a step fails, and with what shapes; "" where it does not."""
    try:
        with explaining(network, batch):
            task.step(network, batch)
    except EngramError as error:
        return str(error).removeprefix("expected a step that runs; ")
    return ""
