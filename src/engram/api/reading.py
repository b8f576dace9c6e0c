"""The first stages, shared by all verbs: from data to a task and its prepared, split and fitted examples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from engram.api.requests import DataRequest
from engram.core import events
from engram.core.deadline import Deadline
from engram.core.errors import BudgetError, ConfigError, DataError
from engram.core.evidence import Evidence, Finding
from engram.core.registry import find, names
from engram.core.task import Task
from engram.core.units import format_duration
from engram.core.wishes import Wish
from engram.data import balance, doctor, infer, source, split, store
from engram.data import fixes as data_fixes
from engram.data.doctor import copies
from engram.data.doctor.copies import Copies
from engram.data.examples import Examples
from engram.data.fixes import Fixes, View
from engram.data.moments import called_like_times
from engram.data.source.fingerprint import digest
from engram.data.source.rows import PICTURE_KINDS, is_input
from engram.data.stored import Stored, is_named
from engram.data.table import Column, Table

TASKS = "engram.tasks"
CLOSE = 0.1
"""Tasks whose evidence differs by less than this are too close to choose between."""


@dataclass
class Reading:
    """Data, understood: what was read, what is to be learned from it, and the examples.

    copies: which inputs are copies of which. view: what fixes made of the data, None where none were applied.
    by_row: the table's rows as examples, where what is learned from is something else, such as windows of text.
    whole: whether rows are not divided among splits, as the task divides what is in each.
    """

    table: Table
    task: Task
    roles: dict[str, Column]
    examples: Examples
    reasons: list[str] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    copies: Copies | None = None
    view: View | None = None
    by_row: Examples | None = None
    whole: bool = False

    @property
    def divided(self) -> int:
        """How many rows are divided in themselves, so that one may give an example to each split; else 0."""
        rows = self.by_row.splits.values() if self.by_row is not None and self.whole else ()
        return len(np.unique(np.concatenate([*rows]))) if rows else 0


def read(
    data: Any,
    request: DataRequest = DataRequest(),  # noqa: B008  (it is frozen)
    *,
    deadline: Deadline | None = None,
    features: Mapping[str, Any] | None = None,
    only: str | None = None,
) -> Reading:
    """Read, understand, prepare, split and fit.

    Fixes that are applied make a view of the data, whose fingerprint is another than the data's.
    features: fitted ones of an earlier run, to see new data exactly as that run sees its own; all rows (those of
    the split `only`, or of "test" where the data has it) are then to be answered for.
    BudgetError when preparing alone would exceed the deadline.
    """
    fixes = data_fixes.read(request.apply) if request.apply is not None else None
    table = table_of(data, request)
    for sentence in table.notes:
        events.note(sentence)
    chosen, why = choose_task(table, task=request.task, target=request.target, input=request.input)
    if not chosen.inputs:
        raise ConfigError(
            f"expected a task that reads its examples from data; {chosen.name} is handed them in Python: "
            "engram.train(dataset, model=MyNet(), step=FUNCTION)"
        )
    before = table
    table, roles, reasons = arranged(chosen, before, request, features=features)
    if (whole := table is not before) and fixes is not None:
        raise ConfigError(f"expected no fixes for {chosen.name}, whose rows are no examples. Leave out --apply.")
    for sentence in [*table.notes[len(before.notes) :], *reasons]:
        events.note(sentence)
    table, view = _through_fixes(fixes, table, roles, chosen)
    read = prepare(
        chosen, table, roles, wishes=request.wishes, view=view, seed=request.seed, test=request.test is not False,
        deadline=deadline, features=features, only=only, whole=whole,
    )  # fmt: skip
    read.reasons = [why.reason, *table.notes, *reasons]
    read.findings = [*table.findings, *read.findings]
    return read


def table_of(data: Any, request: DataRequest) -> Table:
    """Read data as it stands."""
    split = None if request.division else request.split
    return source.read(data, target=request.target, inputs=request.input, split=split, group=request.group)


def arranged(
    task: Task, table: Table, request: DataRequest, *, features: Mapping[str, Any] | None = None
) -> tuple[Table, dict[str, Column], list[str]]:
    """Return the table that a task learns from, itself or of other rows, the columns of its roles, and reasons.

    features: fitted ones, where a run is asked about new data.
    """
    made = task.arranged(
        table, target=request.target, inputs=request.input, wishes=request.wishes, features=features,
        division=request.division, seed=request.seed,
    )  # fmt: skip
    if made is not None:
        return made, *infer.columns_for(made, task, target=None, inputs=None)
    if request.division:
        raise ConfigError(f"expected a column for --split; {task.name} does not divide its data by {request.division}.")
    return table, *infer.columns_for(table, task, target=request.target, inputs=request.input)


def _through_fixes(
    fixes: Fixes | None, table: Table, roles: Mapping[str, Column], task: Task
) -> tuple[Table, View | None]:
    """The table under the fingerprint that fixes give it, and the view that they make; itself and None without any."""
    if fixes is None:
        return table, None
    view = data_fixes.apply(fixes, table, _first(roles, task.inputs), _first(roles, task.target))
    events.note(view.said)
    if view.in_test:
        events.warn(f"The fixes change {view.in_test:,} rows of the given test set: scores are of another test.")
    seen = digest(table.fingerprint, "fixes", fixes.content)
    return replace(table, fingerprint=seen, notes=[*table.notes, view.said]), view


def _first(roles: Mapping[str, Column], wanted: Mapping[str, Any]) -> Any:
    """The column of the first of some roles; None where there is none."""
    return next((roles[role] for role in wanted if role in roles), None)


def choose_task(table: Table, *, task: str | None, target: Any = None, input: Any = None) -> tuple[Task, Evidence]:
    """Return the task that fits best, or the one named. Ties are refused with the override named."""
    if task is not None:
        return find(TASKS, task, base="task")(), Evidence(1.0, "the task was named")
    narrowed = infer.narrowed(table, target=target, inputs=input)
    fits = [
        (candidate, candidate.matches(narrowed))
        for candidate in (find(TASKS, n, base="task")() for n in names(TASKS, base=""))
    ]
    why_not = "; ".join(f"{candidate.name}: {evidence.reason}" for candidate, evidence in fits)
    fits = sorted((fit for fit in fits if fit[1]), key=lambda fit: -fit[1].score)
    if not fits and all(map(is_input, narrowed.columns.values())):
        what = "pictures" if any(c.kind in PICTURE_KINDS for c in narrowed.columns.values()) else "examples"
        raise DataError(
            f"expected {what} with labels; {table.origin} has {len(table):,} {what} and no labels. Put the "
            f"{what} of each class into a folder of its own, or bring a table with a column of labels."
        )
    if not fits and target is None and (likely := infer.likely_target(narrowed)) is not None:
        timed = next(
            (f" (to go on in time by {name}: --task forecast)" for name in narrowed.columns if called_like_times(name)),
            "",
        )
        raise DataError(
            f"expected to be told what to predict; {table.origin} has the columns {', '.join(narrowed.columns)}, and "
            f"none is called a label. Say which, perhaps the last one: --target {likely}{timed}"
        )
    if not fits:
        raise DataError(
            f"expected data that one of the tasks can learn from; {table.origin} has the columns "
            f"{', '.join(narrowed.columns)} ({why_not}). Name what to predict with --target, or the task with --task."
        )
    if len(fits) > 1 and fits[0][1].score - fits[1][1].score < CLOSE:
        either = " or ".join(candidate.name for candidate, _ in fits[:2])
        raise ConfigError(
            f"this could be {either}: {fits[0][1].reason}. Say which with --task, or what to predict with --target."
        )
    events.note(f"The task is {fits[0][0].name}: {fits[0][1].reason}.")
    return fits[0]


def prepare(
    task: Task,
    table: Table,
    roles: Mapping[str, Column],
    *,
    wishes: Mapping[str, Any],
    view: View | None,
    seed: int,
    test: bool,
    deadline: Deadline | None,
    features: Mapping[str, Any] | None,
    only: str | None,
    whole: bool = False,
) -> Reading:
    """Read every role's values, set unreadable ones aside, split, and fit the features on the training rows.

    whole: see `Reading`.
    """
    made = dict(features) if features is not None else _surveyed(task, roles, wishes)
    first = next(iter(task.inputs))
    with events.stage("reading"), events.listening(_Patience(deadline)):
        stored = {role: store.prepare(column, made[role]) for role, column in roles.items()}
        # Pieces of one running text share its words, and are no copies for that.
        near = features is None and (table.position is None or not np.isfinite(table.position).any())
        alike = {role: copies.find(made[role], stored[role], near=near) for role in task.inputs}
    usable = np.logical_and.reduce([values.ok for values in stored.values()])
    _refuse_unreadable(stored, usable)
    if features is None and whole:
        splits = split.Splits(dict.fromkeys(split.SPLITS, np.flatnonzero(usable)))
    elif features is None:
        # A copy has the digest of what it is a copy of, and so stays on its side.
        splits = split.assign(
            labels=next((roles[role].values for role in task.target if role in roles and is_named(stored[role])), None),
            digests=stored[first].digest[alike[first].leader], given=table.split, groups=table.group,
            position=table.position, seed=seed, usable=usable, where=roles[first].where,
            test=split.SHARE if test else 0.0,
        )  # fmt: skip
    else:
        splits = split.Splits({"test": np.flatnonzero(usable & _asked_for(table, only))})
    if view is not None:
        roles, stored = _viewed(view, task, roles, stored, made)
        splits.rows = {name: rows[view.kept[rows]] for name, rows in splits.rows.items()}
        if empty := [name for name, rows in splits.rows.items() if not len(rows)]:
            raise DataError(f"expected fixes that leave rows in every split; {view.fixes.origin} empties {empty[0]}.")
    if features is None:
        task.fit(made, stored, splits.rows["train"])
    task.see(made)
    stored = {role: values.refined(made[role]) for role, values in stored.items()}
    rows = Examples(made, stored, splits.rows, continues=table.continues)
    examples = task.examples(rows)
    if features is None:
        _balance(task, examples)
    findings = doctor.inspect(examples=rows, table=table, roles=roles, copies=alike) + splits.findings
    if features is not None:
        findings += doctor.unknown_labels(rows, next(iter(task.target), ""))
    return Reading(
        table, task, dict(roles), examples, findings=findings, copies=alike[first], view=view, by_row=rows, whole=whole
    )


def _refuse_unreadable(stored: Mapping[str, Stored], usable: np.ndarray) -> None:
    """Refuse data of which no row can be read, for the reason of the first."""
    problems = [problem for values in stored.values() for problem in values.problems]
    if problems and not usable.any():
        first = problems[0]
        raise DataError(f"expected rows that can be read; of {len(usable):,} none can. {first.where}: {first.reason}")


def _surveyed(task: Task, roles: Mapping[str, Column], wishes: Mapping[str, Any]) -> dict[str, Any]:
    """Features for the roles' columns, as the user wishes; ConfigError for a wish that none of them takes."""
    kinds = {**task.inputs, **task.target}
    for name in wishes:
        if not any(name in _names(kind.wishes) for kind in kinds.values()):
            raise ConfigError(f"expected data that has a {name}; {task.name} has none. Leave out --{name}.")
    return {
        role: kinds[role].survey(column, **{k: v for k, v in wishes.items() if k in _names(kinds[role].wishes)})
        for role, column in roles.items()
    }


def _names(wishes: Sequence[Wish]) -> set[str]:
    return {each.name for each in wishes}


def _viewed(
    view: View, task: Task, roles: Mapping[str, Column], stored: Mapping[str, Stored], features: Mapping[str, Any]
) -> tuple[dict[str, Column], dict[str, Stored]]:
    """Roles and their values as the view has them: what was prepared serves on, with some rows set aside."""
    roles, stored, target = dict(roles), dict(stored), next(iter(task.target), "")
    if view.labels is not None and view.actions["relabel"]:
        roles[target] = view.labels
        stored[target] = store.prepare(view.labels, features[target])
    return roles, {role: values.only(view.kept) for role, values in stored.items()}


def warn(findings: list[Finding]) -> None:
    """Tell what is wrong with the data where that does not stop the work."""
    for finding in findings:
        if finding.severity != "info":
            shown = "".join(f"\n    {where}" for where in finding.where[:5])
            events.warn(f"{finding.message}.{shown}" + (f"\n    {finding.fix}" if finding.fix else ""))


def _balance(task: Task, examples: Examples) -> None:
    """Let rare classes count more where classes are unbalanced, and say so."""
    role = next(iter(task.target), "")
    if role not in examples.stored or task.answers.calibration != "softmax" or not task.balances:
        return
    labels = np.full(len(examples.stored[role]), -1)
    usable = np.flatnonzero(examples.stored[role].ok)
    labels[usable] = np.asarray(examples.features[role].encode(examples.stored[role].gather(usable)))
    examples.importance = balance.importance(labels, examples.splits["train"])
    if examples.importance is not None:
        events.note("Classes are unbalanced: examples count by the inverse square root of their class's frequency.")


def _asked_for(table: Table, only: str | None) -> np.ndarray:
    """Which rows an evaluation is about: a split's, or all."""
    if table.split is None:
        return np.ones(len(table), dtype=bool)
    given = np.asarray(table.split)
    if only is None:
        return given == "test" if (given == "test").any() else np.ones(len(table), dtype=bool)
    if not (given == only).any():
        raise ConfigError(f"expected rows of the split {only!r}; {table.origin} has {', '.join(sorted(set(given)))}")
    return given == only


class _Patience:
    """Stops preparing when, at its present speed, it would use up most of the time there is.

    What is told under a name of its own is a piece of work with a speed of its own.
    """

    SHARE = 0.7
    SURE_AFTER = 2.0

    def __init__(self, deadline: Deadline | None) -> None:
        self.deadline = deadline
        self.name = ""
        self.began = 0.0

    def __call__(self, event: events.Event) -> None:
        if self.deadline is None or self.deadline.seconds is None or event["event"] != "progress":
            return
        now = self.deadline.elapsed()
        if event["name"] != self.name:
            self.name, self.began = event["name"], now
        if now - self.began < self.SURE_AFTER:
            return
        whole = (now - self.began) * event["total"] / max(1, event["done"])
        if self.began + whole > self.SHARE * self.deadline.seconds:
            suffices = 60 * int(1 + 2 * (self.began + whole) / 60)
            raise BudgetError(
                f"expected a budget that leaves time to learn; reading the data alone takes about "
                f"{format_duration(whole)} of the {format_duration(self.deadline.seconds)} given. "
                f"Use --budget {suffices // 60}m (what is read is kept, so a second run starts at once)."
            )
