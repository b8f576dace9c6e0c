"""Ctrl-C once and twice, TERM and HUP at any moment: saved, told how to go on, gone in seconds, no process left behind.

The command line runs in processes of its own, forked from one that has imported torch.
"""

import json
import multiprocessing
import os
import random
import signal
import sys
import time
from pathlib import Path

import pytest

from engram.core.checkpoints import newest, step_of
from engram.core.rundir import RunDirectory

context = multiprocessing.get_context("forkserver")
context.set_forkserver_preload(["engram.api.training", "engram.report", "engram.cli", "engram.console"])

WAYS = {"INT": [signal.SIGINT], "INT twice": [signal.SIGINT] * 2, "TERM": [signal.SIGTERM], "HUP": [signal.SIGHUP]}
MOMENTS = ('"name": "reading"', '"name": "floors"', '"event": "plan"', '"event": "step"', '"name": "evaluation"',
           '"name": "report"')  # fmt: skip


def command(arguments, log):
    from engram import cli

    os.dup2(os.open(log, os.O_CREAT | os.O_WRONLY, 0o600), 1)
    os.dup2(1, 2)
    sys.argv = ["engram", *map(str, arguments)]
    cli.main()


def run(arguments, log):
    process = context.Process(target=command, args=(arguments, log))
    process.start()
    return process


def stopped(pictures, out, *, moment, way):
    """Train, send signals when a line of metrics.jsonl says that the moment is there (or after so many seconds)."""
    log, record = out.with_suffix(".log"), out / "metrics.jsonl"
    process = run(["train", pictures, "--steps", 60, "--size", "small", "--out", out], log)
    until = time.monotonic() + (moment if isinstance(moment, float) else 60)
    while time.monotonic() < until and process.is_alive():
        if isinstance(moment, str) and record.exists() and moment in record.read_text():
            break
        time.sleep(0.005)
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    assert not children.exists() or children.read_text() == ""
    began = time.monotonic()
    for number in WAYS[way]:
        if process.is_alive():
            os.kill(process.pid, number)
            time.sleep(0.05)
    process.join(60)
    return process.exitcode, time.monotonic() - began, log.read_text() if log.exists() else ""


def assert_stopped_well(out, code, seconds, said, *, way):
    assert seconds < 10, "five seconds, on a machine that does nothing else"
    if code == 0:
        assert "Trained in" in said  # it was done before the signal came
        return
    assert code == 128 + WAYS[way][0], said
    assert "Traceback" not in said and "This should not happen" not in said
    if (out / "run.json").exists():
        found = RunDirectory.open(out)
        assert f"Go on with: engram train --resume {out}" in said
        assert newest(found)[0] is not None
        if "Stopped at step" in said:
            assert f"Stopped at step {step_of(newest(found)[0])} of 60" in said
        return
    assert "Start it again with the same command" in said
    assert not out.exists()


@pytest.mark.slow
@pytest.mark.parametrize("moment", MOMENTS)
def test_a_signal_in_every_stage(pictures, tmp_path, moment):
    way = list(WAYS)[MOMENTS.index(moment) % len(WAYS)]
    out = tmp_path / "run"
    assert_stopped_well(out, *stopped(pictures, out, moment=moment, way=way), way=way)


@pytest.mark.nightly
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("way", WAYS)
def test_signals_at_twenty_moments(pictures, tmp_path, way):
    luck = random.Random(way)
    for number in range(20):
        out, moment = tmp_path / str(number), luck.choice([*MOMENTS, *([0.1 + 4 * luck.random()] * 6)])
        assert_stopped_well(out, *stopped(pictures, out, moment=moment, way=way), way=way)
        if (out / "run.json").exists() and json.loads((out / "run.json").read_text())["status"] != "done":
            process = run(["train", "--resume", out], tmp_path / "resumed.log")
            process.join(60)
            assert process.exitcode == 0, (tmp_path / "resumed.log").read_text()
