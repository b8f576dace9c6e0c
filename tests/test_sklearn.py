"""Estimators: scikit-learn's own checks, its tools around them, and what they add to it."""

import pickle
from functools import partial

import numpy as np
import polars
import pytest

pytest.importorskip("sklearn")

from sklearn.base import clone
from sklearn.datasets import load_diabetes, load_iris
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import estimator_checks_generator

import engram
from engram.core.errors import ConfigError
from engram.sklearn import EngramClassifier, EngramRegressor

STEPS = 30

QUICK = {
    "check_dict_unchanged",
    "check_do_not_raise_errors_in_init_or_set_param",
    "check_estimator_cloneable",
    "check_estimator_repr",
    "check_estimators_pickle",
    "check_estimators_unfitted",
    "check_get_params_invariance",
    "check_mixin_order",
    "check_no_attributes_set_in_init",
    "check_parameters_default_constructible",
    "check_supervised_y_no_nan",
}
"""Checks that fit nothing, or once."""


def checks():
    for kind in (EngramClassifier, EngramRegressor):
        for number, (estimator, check) in enumerate(estimator_checks_generator(kind(steps=STEPS))):
            name = (check.func if isinstance(check, partial) else check).__name__
            marks = () if name in QUICK else pytest.mark.slow
            yield pytest.param(estimator, check, marks=marks, id=f"{kind.__name__}-{number}-{name}")


@pytest.mark.parametrize(("estimator", "check"), list(checks()))
def test_scikit_learn_finds_no_fault(estimator, check):
    check(estimator)


@pytest.fixture(scope="module")
def iris():
    return load_iris(return_X_y=True)


@pytest.fixture(scope="module")
def classifier(iris):
    return EngramClassifier(steps=STEPS, random_state=0).fit(*iris)


def test_classes_keep_their_names_and_their_order(iris):
    X, y = iris
    names = np.array(["virginica", "setosa", "versicolor"])[y]
    fitted = EngramClassifier(steps=STEPS, random_state=0).fit(X, names)
    assert fitted.classes_.tolist() == ["setosa", "versicolor", "virginica"]
    assert fitted.score(X, names) > 0.9
    assert (fitted.predict(X) == fitted.classes_[fitted.predict_proba(X).argmax(1)]).all()


def test_a_fit_is_repeated_to_the_bit_and_survives_pickling(iris, classifier):
    X, y = iris
    share_NC = classifier.predict_proba(X)
    assert (clone(classifier).fit(X, y).predict_proba(X) == share_NC).all()
    pickled = pickle.dumps(classifier)
    assert b"torch" not in pickled.split(b"run.json")[0]  # bytes of files, and no module
    assert (pickle.loads(pickled).predict_proba(X) == share_NC).all()
    assert (clone(classifier).set_params(random_state=1).fit(X, y).predict_proba(X) != share_NC).any()


def test_an_answer_does_not_hang_on_what_is_asked_beside_it(iris, classifier):
    X, _ = iris
    alone_NC = np.concatenate([classifier.predict_proba(row[None]) for row in X[::15]])
    np.testing.assert_allclose(alone_NC, classifier.predict_proba(X)[::15], rtol=0, atol=1e-6)


def test_in_a_pipeline(iris):
    X, y = iris
    scores = cross_val_score(make_pipeline(StandardScaler(), EngramClassifier(steps=STEPS, random_state=0)), X, y, cv=2)
    assert scores.min() > 0.85


@pytest.mark.slow
def test_in_a_search():
    X, y = load_diabetes(return_X_y=True)
    search = GridSearchCV(EngramRegressor(random_state=0), {"steps": [1, 60]}, cv=2).fit(X, y)
    assert search.best_score_ > 0.3 and set(search.best_params_) == {"steps"}


def test_intervals_hold_the_truth_as_often_as_they_say():
    X, y = load_diabetes(return_X_y=True)
    fitted = EngramRegressor(steps=STEPS, random_state=0).fit(X[:300], y[:300])
    assert fitted.score(X[300:], y[300:]) > 0.3
    wide_N2, narrow_N2 = (fitted.predict_interval(X[300:], level=level) for level in (0.9, 0.5))
    held = [((low_N <= y[300:]) & (y[300:] <= high_N)).mean() for low_N, high_N in (wide_N2.T, narrow_N2.T)]
    assert held[0] > 0.75 and 0.3 < held[1] < held[0]


def test_frames_of_names_dates_and_missing_values(tmp_path):
    random = np.random.default_rng(0)
    colour, size = random.choice(["red", "green"], 200), random.normal(size=200)
    label = np.where((colour == "red") == (size > 0), "yes", "no")
    holes = [None if row % 10 == 0 else float(value) for row, value in enumerate(size)]
    frame = polars.DataFrame({"colour": colour, "size": holes, "split": ["train", "test"] * 100, "target": [1.5] * 200})
    fitted = EngramClassifier(steps=150, random_state=0).fit(frame, label)
    assert fitted.feature_names_in_.tolist() == frame.columns
    assert fitted.score(frame, label) > 0.85
    with pytest.raises(ValueError, match="feature names"):
        fitted.predict(frame.select("size", "colour", "split", "target"))
    fitted.save(tmp_path / "run")
    (answer,) = engram.predict(tmp_path / "run", {"colour": "red", "size": 1.0, "split": "train", "target": 1.5})
    assert fitted.classes_[int(answer["label"])] == "yes"


def test_numbers_that_count_rows_are_learned_from_where_they_are_all_there_is():
    X = np.arange(60).reshape(-1, 1)
    assert EngramRegressor(steps=STEPS, random_state=0).fit(X, 3.0 * X[:, 0]).score(X, 3.0 * X[:, 0]) > 0.9


def test_one_class_and_two_limits_are_refused(iris):
    with pytest.raises(ConfigError, match="one class"):
        EngramClassifier().fit(iris[0], np.zeros(150))
    with pytest.raises(ConfigError, match="one of budget, epochs and steps"):
        EngramClassifier(budget=5, steps=3).fit(*iris)


def test_a_training_without_a_report_learns_from_what_would_be_the_test(tmp_path, iris):
    data = {f"x{place}": column for place, column in enumerate(iris[0].T)} | {"target": iris[1]}
    options = {"task": "table_classification", "target": "target", "steps": 2, "report": False}
    trained = engram.train(data, out=tmp_path / "run", **options)
    assert trained.metrics == {} and not (tmp_path / "run" / "report.html").exists()
    rows = engram.load(tmp_path / "run").run.read_run()["data"]["rows"]
    assert set(rows) == {"train", "val"} and sum(rows.values()) == 150
