"""Numbers and names in plain words."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

SHARES = frozenset({"accuracy", "coverage", "macro_f1", "micro_f1", "auroc", "mean_average_precision"})
"""Metrics that are shares of a whole and are said in percent."""

HUNDREDTHS = frozenset({"bleu", "chrf"})
"""Metrics on a scale to 100, said with one digit after the point."""

NAMES = {
    "accuracy": "accuracy",
    "auroc": "area under the ROC curve",
    "macro_f1": "F1, mean over classes",
    "micro_f1": "F1, over all answers",
    "cross_entropy": "cross entropy",
    "binary_cross_entropy": "binary cross entropy",
    "mean_average_precision": "mean average precision",
    "bleu": "BLEU",
    "chrf": "chrF",
    "expected_calibration_error": "expected calibration error",
    "majority_class": "always the commonest answer",
    "linear_on_pixels": "a linear model on pixels",
    "copy_source": "the source as it stands",
    "bits_per_byte": "bits per byte",
    "mrr": "mean reciprocal rank",
    "popularity": "what is most popular",
    "item_neighbours": "items that are taken together",
    "ease": "EASE, a linear model of items",
    "ease_by_recency": "EASE, recent items counting more",
    "biases": "means of users and items",
    "n_gram": "counts of n-grams",
    "factorisation": "a factorisation of users and items",
    "sequential_recommender": "a transformer over items",
    "decoder": "a transformer",
    "nearest_source": "the translation of the most similar training source",
    "linear_on_text": "a linear model on words",
    "mae": "mean absolute error",
    "rmse": "root mean squared error",
    "mse": "mean squared error",
    "r2": "share of variance explained (R²)",
    "coverage": "truths within the 80 % interval",
    "rmse_in_units": "root mean squared error in its own units",
    "mae_in_units": "mean absolute error in its own units",
    "mase": "mean absolute scaled error",
    "smape": "symmetric mean absolute percentage error",
    "weighted_quantile_loss": "weighted quantile loss",
    "naive": "the last value again",
    "seasonal_naive": "the last season again",
    "ridge": "ridge regression on the past",
    "forecaster": "a linear layer and a perceptron on the past",
    "forecast": "forecasts",
    "interval_width": "mean width of the interval",
    "mean_value": "always the mean",
    "linear_on_record": "a linear model on columns",
    "boosted_trees": "gradient-boosted trees",
    "table_net": "an ensemble of networks on columns",
    "table_classification": "classification of rows",
    "table_tagging": "tagging of rows",
    "table_regression": "regression",
    "quadratic_kappa": "agreement beyond chance (quadratic kappa)",
    "conv_net": "a convolutional network",
    "encoder_decoder": "an encoder-decoder transformer",
    "text_net": "a network on words and their pieces",
    "text_classification": "text classification",
    "text_tagging": "text tagging",
    "image_classification": "image classification",
    "image_tagging": "image tagging",
    "own_step": "a training step of its maker's own",
}
ABOUT = {
    "accuracy": "Accuracy is the share of right answers.",
    "auroc": "It says how often an example that has a label is ranked above one that has not: 50 % is chance.",
    "macro_f1": "F1 is high where few answers are wrong and few are missed; each class counts alike.",
    "micro_f1": "F1 is high where few labels are wrong and few are missed.",
    "cross_entropy": "It is the surprise at what came, in nats: e to the power of it is among how many equally likely "
    "ones the model had to guess.",
    "binary_cross_entropy": "It is the surprise at each yes and no, in nats.",
    "quadratic_kappa": "1 is full agreement, 0 is chance; being two steps off counts four times as much as one.",
    "bleu": "BLEU counts on a scale to 100 how many runs of one to four words stand in the reference too.",
    "rmse": "It is how far off answers are, in the unit of what is asked for, large errors counting more.",
    "mse": "It is the squared distance from what came, in units of the spread in training.",
    "ndcg": "It is 1 where what the user took next stands at the top, 0 where none of it is among the first ten.",
}
"""What a score says to whoever meets it for the first time."""

UNIT = "\N{NO-BREAK SPACE}%"
SPLITS = {"train": "training", "val": "validation", "test": "test"}


def named(name: str) -> str:
    """`macro_f1` -> "F1, mean over classes"; names not known here lose their underscores."""
    name, at, most = name.partition("@")
    known = NAMES.get(name, name.replace("_", " "))
    return f"{known.upper() if name == 'ndcg' else known}{at}{most}"


def about(metric: str) -> str:
    """A sentence that says what a metric is, and a space; nothing where none is known."""
    said = ABOUT.get(metric.partition("@")[0])
    return f"{said} " if said else ""


def split_name(split: str) -> str:
    """`val` -> "validation"."""
    return SPLITS.get(split, split)


def score(metric: str, value: float | None, *, beside: float | None = None) -> str:
    """0.9213 -> "92.1 %" for shares, "0.241" for others. Near the top, or `beside` a value there: one digit more."""
    if value is None or not math.isfinite(value):
        return "unknown"
    if metric in SHARES:
        return percent(value, 2 if (value if beside is None else beside) > 0.98 else 1)
    if metric in HUNDREDTHS:
        return f"{value:.1f}"
    return amount(value)


def amount(value: float) -> str:
    """452600.0 -> "452,600"; 0.2413 -> "0.241"; 0.00123 -> "0.00123"."""
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3f}" if abs(value) >= 0.1 or value == 0 else f"{value:.3g}"


def percent(value: float | None, digits: int = 1) -> str:
    """0.9213 -> "92.1 %"; never rounded up to 100 % or down to 0 %."""
    if value is None or not math.isfinite(value):
        return "unknown"
    shown = f"{100 * value:.{digits}f}"
    if value < 1 and float(shown) == 100:
        return f"over {100 - 10**-digits:.{digits}f}{UNIT}"
    if value > 0 and float(shown) == 0:
        return f"under {10**-digits:.{digits}f}{UNIT}"
    return f"{shown}{UNIT}"


def percent_span(low: float, high: float) -> str:
    """(-0.012, 0.034) -> "−1.2 % to 3.4 %"."""
    return " to ".join(f"{100 * end:.1f}{UNIT}".replace("-", "−") for end in (low, high))


def interval(metric: str, found: dict[str, Any]) -> str:
    """The 95 % interval of a score: "91.6 % to 92.6 %"."""
    low, high = (score(metric, found.get(end), beside=found.get("value")) for end in ("low", "high"))
    return f"{low} to {high}"


def shape(numbers: Sequence[int]) -> str:
    """(64, 13, 13) -> "64 × 13 × 13"."""
    return " × ".join(str(n) for n in numbers)


def listed(words: Sequence[str], *, most: int = 12) -> str:
    """["a", "b", "c"] -> "a, b and c"; the rest of a long list is counted."""
    words = list(words)
    if len(words) > most:
        return f"{', '.join(words[:most])} and {len(words) - most:,} more"
    return " and ".join([", ".join(words[:-1]), words[-1]]) if len(words) > 1 else "".join(words)


def number(value: Any) -> str:
    """A number of the plan as people write it."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
    return f"{value:,}" if isinstance(value, int) else f"{value:,.6g}"


def told(name: str) -> str:
    """A class within a sentence; in quotes where it could be taken for a number of things."""
    return f"“{name}”" if name[:1].isdigit() or len(name) < 2 else name


def label(value: Any) -> str:
    """A label, or several of an example."""
    if value is None:
        return "unknown"
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "none"
    return str(value)


def plural(thing: str) -> str:
    """picture -> pictures, history -> histories, series -> series."""
    return thing if thing.endswith("s") else f"{thing[:-1]}ies" if thing.endswith("y") else f"{thing}s"


def sentence(text: str) -> str:
    """A clause with a capital letter and a full stop."""
    text = text.strip()
    if "/" in text.partition(" ")[0]:  # a path stays as it is written
        return text if text.endswith(".") else f"{text}."
    return f"{text[:1].upper()}{text[1:]}{'' if text.endswith(('.', '!', '?', ':')) else '.'}" if text else ""


def device(name: str) -> str:
    """`cpu` -> "the CPU"."""
    return {"cpu": "the CPU", "cuda": "the GPU", "mps": "Apple's GPU"}.get(name.partition(":")[0], name)


def count(value: int) -> str:
    """1 -> "one"; numbers above twelve in digits."""
    few = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")
    return few[value] if 0 <= value < len(few) else f"{value:,}"


def idle(dead: int, twins: int) -> str:
    """How many units do nothing, and how many say what another says."""
    alone = (
        "None is dead (the same whatever is seen)" if not dead else f"Dead (the same whatever is seen): {count(dead)}"
    )
    return f"{alone}; {'none says' if not twins else f'{count(twins)} say'} what another says too."


def signed(value: float) -> str:
    """-0.1 -> "−0.10", with a true minus."""
    return f"{value:.2f}".replace("-", "−")
