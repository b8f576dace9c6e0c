"""Estimators for scikit-learn over the same engine: `engram.train` on arrays and data frames.

    from engram.sklearn import EngramClassifier

    cross_val_score(EngramClassifier(), X, y)

What was learned is held as the bytes of the run's files, so that estimators pickle without pickling a module.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from engram import api
from engram.core.errors import ConfigError, Stopped
from engram.core.events import listening

try:
    from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
except ModuleNotFoundError as error:
    raise ConfigError(
        "expected scikit-learn for estimators of it; it is not installed. Install it: pip install 'engram[sklearn]'"
    ) from error

from sklearn.utils import check_random_state
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import (
    assert_all_finite,
    check_consistent_length,
    check_is_fitted,
    column_or_1d,
    validate_data,
)

FEW_ROWS, STEPS = 1_000, 150
SOME_ROWS, EPOCHS = 5_000, 10.0
BUDGET = 60.0
"""Where nobody says otherwise, a fit on few rows takes so many steps, one on some goes over them so often, and one on
more may take so many seconds. A few hundred rows are learned by heart in 450 steps (LOG.md)."""

ANSWERED = 10_000
"""Rows that are answered at once."""


class Run:
    """A run, held in memory as its files. `predictor` opens it when it is first asked for."""

    def __init__(self, files: Mapping[str, bytes]) -> None:
        self.files = dict(files)

    @classmethod
    def of(cls, folder: Path) -> Run:
        """Take what answering needs from a run directory."""
        kept = [path for path in folder.iterdir() if path.suffix in (".json", ".safetensors")]
        return cls({path.name: path.read_bytes() for path in kept})

    def write(self, folder: Path) -> None:
        """Make a run directory of it."""
        folder.mkdir(parents=True)
        for name, content in self.files.items():
            (folder / name).write_bytes(content)

    @cached_property
    def predictor(self) -> Any:
        """Answers in double precision, so that an answer does not hang on what is asked beside it."""
        with tempfile.TemporaryDirectory(prefix="engram-") as folder:
            self.write(Path(folder) / "run")
            predictor = api.load(Path(folder) / "run")
        predictor.module.network.double()
        if predictor.module.floor is not None:
            predictor.module.floor.double()
        return predictor

    def __getstate__(self) -> dict[str, Any]:
        return {"files": self.files}


class EngramEstimator(BaseEstimator):
    """What both estimators share.

    budget: seconds a fit may take, or "90s", "10m". epochs, steps: passes over the rows, or steps, instead of a budget;
    a fit is then the same bit for bit whenever it is repeated with one `random_state`. With none of the three, fewer
    than 1,000 rows take 150 steps, fewer than 5,000 are gone over 10 times, and on more a minute is spent. size:
    "small", "medium", "large". verbose: 1 shows on stderr what the command line shows.
    """

    task = ""

    def __init__(
        self,
        *,
        budget: str | float | None = None,
        epochs: float | None = None,
        steps: int | None = None,
        size: str | None = None,
        random_state: Any = None,
        verbose: int = 0,
    ) -> None:
        self.budget = budget
        self.epochs = epochs
        self.steps = steps
        self.size = size
        self.random_state = random_state
        self.verbose = verbose

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = tags.input_tags.string = tags.input_tags.categorical = True
        return tags

    def save(self, folder: str | Path) -> None:
        """Write what was learned as a run, for `engram predict`, `serve`, `export` and `explain`."""
        check_is_fitted(self)
        self.run_.write(Path(folder))

    def _learn(self, X: Any, target: np.ndarray) -> None:
        """Train on rows and their targets. Columns of an array of numbers are numbers, whatever they look like."""
        names = [str(name) for name in X.columns] if _is_frame(X) else [f"x{place}" for place in range(X.shape[1])]
        kinds = None if _is_frame(X) or X.dtype.kind not in "biuf" else dict.fromkeys(names, "number")
        self._columns = names
        target_name = "target"
        while target_name in names:
            target_name += "_"
        limits: dict[str, Any] = {"budget": self.budget, "epochs": self.epochs, "steps": self.steps}
        if all(limit is None for limit in limits.values()):
            limits |= _usual(len(target))
        seed = int(check_random_state(self.random_state).randint(2**31))
        with tempfile.TemporaryDirectory(prefix="engram-") as folder, _apart(), listening(*_listeners(self.verbose)):
            try:
                api.train(
                    {**_columns(X, names), target_name: target}, task=self.task, input=names, target=target_name,
                    columns=kinds, out=Path(folder) / "run", size=self.size, seed=seed, report=False, **limits,
                )  # fmt: skip
            except Stopped:
                raise KeyboardInterrupt from None
            self.run_ = Run.of(Path(folder) / "run")

    def _asked(self, X: Any) -> Any:
        """Rows to answer for, seen to be as those of the fit."""
        check_is_fitted(self)
        if _is_frame(X):
            return validate_data(self, X, reset=False, skip_check_array=True)
        return validate_data(self, X, reset=False, dtype=None, ensure_all_finite="allow-nan")

    def _outputs(self, X: Any, **options: Any) -> np.ndarray:
        """What is delivered for each row: logits (N, C), or numbers with their intervals (N, 3)."""
        X, predictor = self._asked(X), self.run_.predictor
        batch = predictor.encode_table(_columns(X, self._columns))
        chosen = predictor.task.options(**options)
        return np.concatenate([predictor.output(some, options=chosen)[0].double().numpy() for some in _parts(batch)])


class EngramClassifier(ClassifierMixin, EngramEstimator):
    """Learn which class a row is of."""

    task = "table_classification"

    def fit(self, X: Any, y: Any) -> EngramClassifier:
        """Learn from rows X, an array or a data frame, and their classes y."""
        X, y = _checked(self, X, y)
        check_classification_targets(y)
        self.classes_, code = np.unique(y, return_inverse=True)
        if len(self.classes_) < 2:
            raise ConfigError(f"expected rows of two classes or more; got one class, {self.classes_[0]!r}")
        self._learn(X, code)
        return self

    def predict(self, X: Any) -> np.ndarray:
        """Return the likeliest class of each row."""
        likeliest_N = self.predict_proba(X).argmax(1)
        return self.classes_[likeliest_N]

    def predict_proba(self, X: Any) -> np.ndarray:
        """Return the calibrated probability of each class, in the order of `classes_` (N, C)."""
        logits_NC = self._outputs(X)
        share_NC = np.exp(logits_NC - logits_NC.max(1, keepdims=True))
        found_NC = np.zeros((len(share_NC), len(self.classes_)))
        learned = [int(name) for name in self.run_.predictor.names]
        found_NC[:, learned] = share_NC / share_NC.sum(1, keepdims=True)
        return found_NC


class EngramRegressor(RegressorMixin, EngramEstimator):
    """Learn a number of each row."""

    task = "table_regression"

    def fit(self, X: Any, y: Any) -> EngramRegressor:
        """Learn from rows X, an array or a data frame, and their numbers y."""
        X, y = _checked(self, X, y, numbers=True)
        self._learn(X, y.astype(np.float64))
        return self

    def predict(self, X: Any) -> np.ndarray:
        """Return the number of each row."""
        return self._outputs(X)[:, 0]

    def predict_interval(self, X: Any, *, level: float = 0.8) -> np.ndarray:
        """Return both ends of the interval (N, 2) in which the truth lies as often as `level` says."""
        return self._outputs(X, level=level)[:, 1:]


def _checked(estimator: Any, X: Any, y: Any, *, numbers: bool = False) -> tuple[Any, np.ndarray]:
    """Rows and targets as scikit-learn has them checked; of data frames only the names are looked at."""
    if not _is_frame(X):
        return validate_data(
            estimator, X, y, dtype=None, ensure_all_finite="allow-nan", ensure_min_samples=2, y_numeric=numbers
        )
    X, y = validate_data(estimator, X, y, skip_check_array=True)
    y = column_or_1d(y, warn=True)
    assert_all_finite(y, input_name="y")
    check_consistent_length(X, y)
    return X, y


def _usual(rows: int) -> dict[str, Any]:
    """How long a fit on so many rows takes where nobody says."""
    if rows < FEW_ROWS:
        return {"steps": STEPS}
    return {"epochs": EPOCHS} if rows < SOME_ROWS else {"budget": BUDGET}


def _is_frame(X: Any) -> bool:
    return hasattr(X, "columns")


def _columns(X: Any, names: list[str]) -> dict[str, Any]:
    """The columns of an array or a data frame under these names, in their order."""
    if _is_frame(X):
        return {name: X[own] for name, own in zip(names, X.columns, strict=True)}
    return {name: _plain(X[:, place]) for place, name in enumerate(names)}


def _plain(column: np.ndarray) -> Any:
    """Numbers as numbers, whatever array they came in; else texts, None where one is missing."""
    if column.dtype.kind in "biuf":
        return column
    try:
        return column.astype(np.float64)
    except (TypeError, ValueError):
        return [None if value is None or value != value else str(value) for value in column.tolist()]


def _parts(batch: Any) -> Iterator[Any]:
    """A batch in parts, in double precision."""
    for start in range(0, len(batch), ANSWERED):
        parts = {name: value[start : start + ANSWERED] for name, value in vars(batch).items()}
        yield type(batch)(**{name: part.double() if name != "rows" else part for name, part in parts.items()})


def _apart() -> Any:
    """Within the block, what is drawn from torch leaves what the caller draws from it as it is."""
    import torch

    return torch.random.fork_rng(devices=[])


def _listeners(verbose: int) -> list[Any]:
    """Nobody is told anything unless it is asked for."""
    return [] if verbose else [lambda event: None]
