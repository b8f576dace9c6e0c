"""The command line: what is typed reaches the API as it should, and what comes back is shown as promised.

The verbs themselves are tested where they live; here a stand-in takes their calls.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from engram import api, demo
from engram.cli import cli, process_age
from engram.core.errors import DataError, Stopped
from engram.core.events import emit, note

DONE = {
    "run": "runs/x", "metrics": {"accuracy": {"value": 0.9, "low": 0.85, "high": 0.95}}, "seconds": 61.0,
    "asked": "generate RUN --prompt TEXT",
}  # fmt: skip
VERBS = ["train", "inspect", "predict", "evaluate", "compare", "demo", "completion"]


def run(*arguments: str, stdin: str | None = None) -> Result:
    return CliRunner().invoke(cli, arguments, input=stdin)


class Calls:
    """Takes the place of verbs: remembers the last call, does `then`, returns `result`."""

    def __init__(self) -> None:
        self.positional: tuple[Any, ...] = ()
        self.named: dict[str, Any] = {}
        self.result: Any = None
        self.then: Any = lambda: None

    def __call__(self, *positional: Any, **named: Any) -> Any:
        self.positional, self.named = positional, named
        self.then()
        return self.result


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Calls:
    stand_in = Calls()
    for verb in ("train", "inspect", "predict", "evaluate", "compare"):
        monkeypatch.setattr(api, verb, stand_in)
    return stand_in


def test_help_lists_every_verb() -> None:
    result = run("--help")
    assert result.exit_code == 0
    assert all(f"  {verb} " in result.stdout for verb in VERBS)


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_help(verb: str) -> None:
    result = run(verb, "--help")
    assert result.exit_code == 0
    assert "Example" in result.stdout or verb == "demo"


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        (["trian", "x"], "train"),
        (["train", "x", "--buget", "3s"], "--budget"),
        (["predict", "r", "i", "--tpo", "1"], "--top"),
    ],
)
def test_the_nearest_name_is_offered(typed: list[str], offered: str) -> None:
    result = run(*typed)
    assert result.exit_code == 2
    assert offered in result.stderr


def test_options_reach_the_api(calls: Calls) -> None:
    typed = (
        "train photos --budget 2m --target kind --input a --input b --set steps=7 --set device=cpu --from old --seed 3"
    )
    assert run(*typed.split()).exit_code == 0
    assert calls.positional == ("photos",)
    wanted = {"budget": "2m", "target": "kind", "input": ["a", "b"], "start_from": "old", "seed": 3, "resume": None}
    assert wanted.items() <= calls.named.items()
    assert calls.named["settings"] == {"steps": "7", "device": "cpu"}


def test_demo_trains_on_the_bundled_pictures(calls: Calls) -> None:
    assert run("demo", "--budget", "5s").exit_code == 0
    assert calls.positional == (demo.path(),)
    assert calls.named["budget"] == "5s"


def test_a_setting_without_a_value_is_refused(calls: Calls) -> None:
    result = run("train", "x", "--set", "steps")
    assert result.exit_code == 2
    assert "KEY=VALUE" in result.stderr


def test_train_json_is_events_alone(calls: Calls) -> None:
    def then() -> None:
        note("a folder of class folders")
        emit("step", step=1, steps=2, epoch=0.1, loss=1.0, learning_rate=0.1, examples_per_second=9.0, seconds_left=1.0)
        emit("evaluated", step=1, metrics={"accuracy": 0.5})
        emit("done", floors={}, predicted_seconds=60.0, **DONE)

    calls.then = then
    events = [json.loads(line) for line in run("train", "x", "--json").stdout.splitlines()]
    assert [event["event"] for event in events] == ["note", "step", "evaluated", "done"]
    assert events[-1]["run"] == "runs/x"


def test_train_without_a_terminal_prints_few_plain_lines(calls: Calls) -> None:
    def then() -> None:
        emit("stage", name="reading")
        emit("stage_done", name="reading", seconds=2.0)
        steps = {"value": 200, "reason": "as many as fit"}
        emit("plan", task="t", rows={}, plan={"steps": steps, "predicted_seconds": {"value": 60.0, "reason": ""}})
        for step in range(200):
            emit(
                "step",
                step=step,
                steps=200,
                epoch=0.1,
                loss=1.0,
                learning_rate=0.1,
                examples_per_second=9.0,
                seconds_left=None,
            )
        emit("evaluated", step=199, metrics={"accuracy": 0.5})
        emit("done", floors={"majority_class": {"accuracy": 0.1}}, predicted_seconds=60.0, **DONE)

    calls.then = then
    result = run("train", "x")
    assert "\x1b" not in result.stdout
    assert len(result.stdout.splitlines()) < 20
    for text in (
        "as many as fit",
        "accuracy",
        "0.8500 to 0.9500",
        "0.1000",
        "runs/x",
        "engram generate runs/x --prompt TEXT",
    ):
        assert text in result.stdout


def test_predict_takes_what_is_on_stdin(calls: Calls) -> None:
    calls.result = []
    assert run("predict", "r", "a.png", "-", stdin="b c.png\n\nd.png\n").exit_code == 0
    assert calls.positional == ("r", ("a.png", "-"))
    assert calls.named["stdin"] is not None
    assert "top" not in calls.named


ANSWERS = [
    {"input": "a.png", "label": "cat", "probability": 0.98765, "probabilities": {"cat": 0.98765, "dog": 0.01235}},
    {"input": "b,c.png", "label": "dog", "probability": 1.0, "probabilities": {"dog": 1.0, "cat": 0.0}},
]


INSPECTION = {
    "summary": {"rows": {"train": 1200, "val": 12}, "classes": {"train": {"cat": 1200}, "val": {"cat": 12}}},
    "findings": [
        {
            "severity": "warning",
            "kind": "unreadable",
            "message": "2 values cannot be read",
            "where": ["a.jpg: cut short"],
            "fix": "mend them",
        }
    ],
    "plan": {"steps": {"value": 7, "reason": "as many as fit"}},
}


def test_predict_as_table_json_and_csv(calls: Calls) -> None:
    calls.result = ANSWERS
    table = run("predict", "r", "x").stdout.splitlines()
    assert table[0].split() == ["input", "label", "probability"]
    assert table[1].split() == ["a.png", "cat", "0.9877"]
    assert "cat 0.9877, dog" in run("predict", "r", "x", "--top", "2").stdout
    assert [json.loads(line) for line in run("predict", "r", "x", "--json").stdout.splitlines()] == ANSWERS
    rows = run("predict", "r", "x", "--csv").stdout.splitlines()
    assert rows[0] == "input,label,probability,probabilities.cat,probabilities.dog"
    assert rows[2] == '"b,c.png",dog,1.0,0.0,1.0'
    assert run("predict", "r", "x", "--csv", "--json").exit_code == 2


def test_an_unreadable_item_is_answered_and_counted(calls: Calls) -> None:
    calls.result = [*ANSWERS, {"input": "c.png", "error": "the file is cut short"}]
    result = run("predict", "r", "x")
    assert result.exit_code == 1
    assert "the file is cut short" in result.stdout and "1 of 3 items" in result.stderr


def test_inspect_as_tables(calls: Calls) -> None:
    calls.result = type("Found", (), {"as_dict": lambda self: INSPECTION})()
    shown = run("inspect", "x").stdout
    for text in ("cat", "1,200", "Warning: 2 values cannot be read", "a.jpg: cut short", "mend them", "as many as fit"):
        assert text in shown
    assert json.loads(run("inspect", "x", "--json").stdout) == INSPECTION


def test_compare_as_table_and_json(calls: Calls) -> None:
    one = {"metric": "accuracy", "a": 0.8, "b": 0.9, "difference": 0.1, "low": 0.05, "high": 0.15}
    calls.result = {"comparisons": [{**one, "num_examples": 9, "verdict": "better", "sentence": "B is better than A."}]}
    shown = run("compare", "a", "b").stdout
    for text in ("accuracy", "0.0500 to 0.1500", "better", "B is better than A."):
        assert text in shown
    assert json.loads(run("compare", "a", "b", "--json").stdout) == calls.result


def test_evaluate_as_table_and_json(calls: Calls) -> None:
    calls.result = {
        "task": "t",
        "num_examples": 3,
        "metrics": DONE["metrics"],
        "floors": {"linear": {"accuracy": {"value": 0.7}}},
    }
    assert json.loads(run("evaluate", "r", "--json").stdout) == calls.result
    table = run("evaluate", "r", "data").stdout
    assert calls.positional == ("r", "data")
    assert "linear" in table and "0.7000" in table and "0.8500 to 0.9500" in table


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (DataError("expected pictures; got none"), 2, "Error: expected pictures; got none\n"),
        (Stopped("saved; go on with --resume x", exit_code=143), 143, "saved; go on with --resume x\n"),
        (KeyboardInterrupt(), 130, "Stopped.\n"),
        (RuntimeError("odd"), 1, "RuntimeError: odd"),
    ],
)
def test_errors_are_one_message_and_a_code(calls: Calls, error: BaseException, code: int, message: str) -> None:
    def then() -> None:
        raise error

    calls.then = then
    result = run("train", "x", "--json")
    assert result.exit_code == code
    assert message in result.stderr
    assert "Traceback" not in result.stderr
    assert result.stdout == ""


def test_debug_shows_the_traceback(calls: Calls) -> None:
    def then() -> None:
        raise DataError("expected pictures")

    calls.then = then
    assert isinstance(run("train", "x", "--debug").exception, DataError)


def test_the_clock_starts_with_the_process() -> None:
    code = "import time; time.sleep(0.5); from engram.cli import process_age; print(process_age())"
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert 0.45 < float(printed) < 10
    assert 0 <= process_age() < 10


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_scripts(shell: str) -> None:
    assert "_ENGRAM_COMPLETE" in run("completion", shell).stdout


def test_completion_completes(tmp_path: Path) -> None:
    environment = {**os.environ, "_ENGRAM_COMPLETE": "bash_complete", "COMP_WORDS": "engram tr", "COMP_CWORD": "1"}
    result = subprocess.run([sys.executable, "-m", "engram"], env=environment, capture_output=True, text=True)
    assert result.stdout.split(",")[-1].strip() == "train"


def test_interrupt_during_start_is_no_traceback() -> None:
    code = "from engram import api\napi.train = lambda *a, **k: __import__('os').kill(__import__('os').getpid(), 2)\n"
    code += "import sys; sys.argv = ['engram', 'train', 'x']\nfrom engram.cli import main\nmain()"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.returncode == 128 + signal.SIGINT
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize("form", ["--json", "--csv", "--top=1"])
def test_names_that_are_no_text_are_printed_all_the_same(form: str) -> None:
    code = "from engram import api\napi.predict = lambda *a, **k: [{'input': 'a\\udcff.png', 'label': 'x'}]\n"
    code += f"import sys; sys.argv = ['engram', 'predict', 'r', 'x', '{form}']\nfrom engram.cli import main\nmain()"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True)
    assert result.returncode == 0, result.stderr
    assert b"a\\udcff.png" in result.stdout
    if form == "--json":
        assert json.loads(result.stdout) == {"input": "a\udcff.png", "label": "x"}


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_to_end_lets_what_is_half_done_be_taken_away(number: int) -> None:
    code = (
        "import os, signal, time\nfrom engram import api\n"
        f"signal.signal({int(number)}, signal.SIG_DFL)\n"  # the tests themselves may run under nohup
        "def train(*a, **k):\n"
        f"    try: os.kill(os.getpid(), {int(number)}); time.sleep(5)\n"
        "    finally: print('taken away')\n"
        "api.train = train\n"
        "import sys; sys.argv = ['engram', 'train', 'x']\nfrom engram.cli import main\nmain()"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.returncode == 128 + number
    assert "taken away" in result.stdout and "Traceback" not in result.stderr
