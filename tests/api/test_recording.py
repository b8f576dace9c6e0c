"""One training in a run at a time, however the last one ended; metrics.jsonl tells what was not taken back."""

import json
import os
import signal

import pytest
import tiny_run

import engram
from engram.api.recording import FILE, recording
from engram.core import events
from engram.core.errors import RunError
from engram.core.rundir import RunDirectory


@pytest.fixture
def run(tmp_path):
    return RunDirectory(tmp_path / "run").create()


def test_a_second_training_is_refused_and_told_who_trains(tmp_path):
    run = tiny_run.begun(tmp_path / "run")
    with recording(run):
        for options in ({"out": run.path}, {"resume": run.path}):
            data = None if "resume" in options else tmp_path
            with pytest.raises(RunError, match=rf"is being trained by process {os.getpid()} on "):
                engram.train(data, **options)
    with recording(run):
        pass


def test_the_lock_goes_with_the_process(run):
    told, tell = os.pipe()
    if (pid := os.fork()) == 0:
        with recording(run):
            os.write(tell, b"locked")
            signal.pause()
    os.read(told, 6)
    with pytest.raises(RunError, match=f"process {pid}"), recording(run):
        pass
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    with recording(run):
        pass


def test_what_is_cut_back_is_gone_and_what_came_since_stays(run):
    with recording(run):
        events.note("first")
        size = (run / FILE).stat().st_size
        events.note("taken back")
        events.emit("progress", done=1)
        events.emit("step", step=1, live=True)
    with recording(run) as record:
        events.note("since")
        record.cut_back(size)
        events.note("last")
    told = [json.loads(line) for line in (run / FILE).read_text().splitlines()]
    assert [e["message"] for e in told if e["event"] == "note"] == ["first", "since", "last"]
    assert {e["event"] for e in told} == {"process", "note"}


def test_what_a_killed_training_left_before_it_had_a_plan_is_used_again(run):
    with recording(run):
        events.note("left")
    (run / "features.json.tmp").write_text("{")
    with pytest.raises(RunError, match="ended before it had a plan; start it again"):
        engram.load(run.path)
    RunDirectory(run.path).create().clear()
    assert [path.name for path in run.path.iterdir()] == [FILE]
    (run / "my notes").write_text("x")
    with pytest.raises(RunError, match="already holds something"):
        RunDirectory(run.path).create()
