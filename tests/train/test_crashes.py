"""At every call that changes a file the process may die, or the disk refuse: a checkpoint that was there stays."""

import errno
import os
import shutil
import subprocess
from itertools import count

import pytest
import torch
from injection import dying_at, injected

from engram.core import durable
from engram.core.errors import DiskError
from engram.core.rundir import RunDirectory
from engram.train import checkpoint
from engram.train.checkpoint import Checkpoint, load_newest

REFUSALS = (errno.ENOSPC, errno.EROFS, errno.EACCES)


def at(step):
    return Checkpoint(step, {"model/w": torch.arange(50.0) * step}, {"steps": 9})


@pytest.fixture
def make(tmp_path):
    """Make a run as it is before its third checkpoint."""

    def made():
        shutil.rmtree(tmp_path / "run", ignore_errors=True)
        run = RunDirectory(tmp_path / "run").create()
        run.write_json("features.json", {"a": 1})
        for step in (1, 2):
            checkpoint.save(run, at(step))
        run.seal(status="training")
        return run

    return made


def work(run):
    """What a training writes."""
    run.append_line("pace.jsonl", {"step": 2, "steps": 9})
    checkpoint.save(run, at(3))
    checkpoint.save(run, at(3))
    run.write("model.safetensors", (run / "checkpoints" / "step-3" / "state.safetensors").read_bytes())
    run.seal(status="done")


def assert_sound(run):
    """The run opens, its newest checkpoint is whole and is one that was written, and the work can be done again."""
    opened = RunDirectory.open(run.path)
    assert opened.read_run()["status"] in ("training", "done")
    assert opened.read_lines("pace.jsonl") in ([], [{"step": 2, "steps": 9}])
    newest = load_newest(opened)
    assert newest.step in (2, 3) and torch.equal(newest.tensors["model/w"], at(newest.step).tensors["model/w"])
    work(opened)
    assert RunDirectory.open(run.path).read_run()["status"] == "done" and load_newest(run).step == 3
    assert sorted(path.name for path in (run / "checkpoints").iterdir()) == ["step-2", "step-3"]


@pytest.mark.parametrize("after", [False, pytest.param(True, marks=pytest.mark.slow)], ids=["in the call", "after it"])
def test_a_process_may_die_in_any_call(make, after):
    for number in count(1):
        run = make()
        if not dying_at(number, lambda run=run: work(run), after=after):
            break
        assert_sound(run)
    assert number > 40, "a checkpoint alone takes a dozen calls"


@pytest.mark.parametrize("refusal", REFUSALS, ids=lambda number: errno.errorcode[number])
def test_a_disk_may_refuse_any_call(make, refusal):
    def refuse():
        raise OSError(refusal, os.strerror(refusal))

    for number in count(1):
        run = make()
        try:
            with injected(number, refuse) as calls:
                work(run)
        except DiskError as error:
            assert str(run) in str(error) and os.strerror(refusal) in str(error) and "free on its disk" in str(error)
        if calls.count < number:
            break
        assert_sound(run)
    assert number > 40


def test_a_file_that_may_not_grow_is_told_with_path_and_bytes(make):
    run = make()
    script = (
        "import resource, sys, torch\n"
        "from engram.core.rundir import RunDirectory\n"
        "from engram.train import checkpoint\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 16, 1 << 16))\n"
        "tensors = {'w': torch.zeros(1 << 16)}\n"
        "checkpoint.save(RunDirectory(sys.argv[1]), checkpoint.Checkpoint(3, tensors, {}))"
    )
    result = subprocess.run([os.sys.executable, "-c", script, str(run)], capture_output=True, text=True)
    assert "DiskError: expected to write" in result.stderr and "step-3" in result.stderr
    assert "It needs 256." in result.stderr
    assert_sound(run)


@pytest.fixture
def small_disk(tmp_path):
    """A disk of one MiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", folder], capture_output=True)
    if mounted.returncode:
        pytest.skip("mounting takes rights that are missing here")
    yield folder
    subprocess.run(["umount", folder], check=True)


def test_a_full_disk_and_a_read_only_one(small_disk):
    run = RunDirectory(small_disk / "run").create()
    run.seal(status="training")
    checkpoint.save(run, at(2))
    with pytest.raises(DiskError, match=r"step-3.*No space left.*needs 1\.9 MiB .* free on its disk are .* bytes"):
        checkpoint.save(run, Checkpoint(3, {"w": torch.zeros(500_000)}, {}))
    assert durable.free_bytes(run.path) > 900_000, "what was written of it is gone"
    assert_sound(run)
    with pytest.raises(DiskError, match=r"expected room for .*/run on its disk; it needs 2.0 MiB \(2097152 bytes\)"):
        durable.check_room(run.path, 2 << 20)
    subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
    with pytest.raises(DiskError, match=r"step-4.*Read-only file system"):
        checkpoint.save(run, at(4))
    assert load_newest(run).step == 3
