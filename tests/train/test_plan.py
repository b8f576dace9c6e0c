import dataclasses
import json

import pytest

from engram.core.errors import ConfigError
from engram.train.plan import NAMED_OPTIONS, Plan, settable


def test_numbers_are_set_by_their_printed_names():
    plan = Plan()
    plan.override({"optimizer.learning_rate": "3e-4", "batch_size": 64, "optimizer.rotate": "yes"})
    assert (plan.optimizer.learning_rate, plan.batch_size, plan.optimizer.rotate) == (3e-4, 64, True)
    assert plan.described()["batch_size"] == {"value": 64, "reason": "set by you"}


def test_unknown_names_are_refused_with_the_nearest():
    with pytest.raises(ConfigError, match=r"did you mean 'optimizer\.learning_rate'"):
        Plan().override({"optimizer.learnin_rate": 1})
    with pytest.raises(ConfigError, match="expected int for batch_size"):
        Plan().override({"batch_size": "many"})


def test_a_plan_survives_json():
    plan = Plan(steps=7, views=("plain", "mirror"))
    plan.explain("optimizer.warmup", 0.25, "because")
    assert Plan.from_dict(json.loads(json.dumps(plan.as_dict()))) == plan
    assert "optimizer.warmup" in settable(plan)


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ({"batch_size": "0"}, "from 1 on for batch_size; got 0"),
        ({"micro_batch": -4}, "from 1 on for micro_batch"),
        ({"optimizer.learning_rate": "nan"}, "from 0 on for optimizer.learning_rate; got nan"),
        ({"precision": "float23"}, "did you mean 'float32'"),
        ({"size": "large"}, "an option of its own: --size"),
    ],
)
def test_numbers_that_no_training_can_go_by_are_refused(setting, said):
    with pytest.raises(ConfigError, match=said):
        Plan().override(setting)


def test_everything_in_the_plan_can_be_set_unless_it_is_foreseen():
    plan = Plan()
    names = [field.name for field in dataclasses.fields(plan)]
    printed = {name for name in names if name not in ("optimizer", "reasons", "passes")}
    assert printed - set(settable(plan)) - set(NAMED_OPTIONS) == {name for name in names if "predicted" in name}
    plan.override({"views": "plain,mirror", "evaluate_every": "0.5", "threads": "2", "optimizer.final_rate": 1})
    assert (plan.views, plan.evaluate_every, plan.threads) == (("plain", "mirror"), 0.5, 2)
    with pytest.raises(ConfigError, match="predicted_seconds is what the plan foresees"):
        plan.override({"predicted_seconds": 3})
