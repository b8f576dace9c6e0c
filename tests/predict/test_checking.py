"""Hostile and damaged runs: refused with a RunError, within a second, before torch is imported; nothing is executed."""

import json
import random
import shutil
import subprocess
import sys

import hostile
import numpy as np
import pytest

import engram
from engram.core.checkpoints import check
from engram.core.errors import RunError
from engram.core.rundir import SEALED
from engram.predict.checking import checked

OPEN_EACH = """
import json, sys, time
from engram import api
from engram.core.errors import RunError
found = {}
for folder in sys.argv[1:]:
    began = time.monotonic()
    try:
        api.predict(folder, []) if folder.endswith("opened") else api.train(resume=folder)
        said = "opened"
    except Exception as error:
        said = type(error).__name__ + ": " + str(error)
    found[folder] = [said, time.monotonic() - began, "torch" in sys.modules]
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def honest(tmp_path_factory):
    pictures = np.random.default_rng(0).integers(0, 90, (60, 12, 12), dtype=np.uint8)
    pictures[::2, :4] = 200
    labels = ["<script>alert(1)</script>", "[x](javascript:alert(2))"] * 30
    folder = tmp_path_factory.mktemp("runs") / "honest"
    engram.train((pictures, labels), out=folder, steps=2, size="small", device="cpu")
    return folder


@pytest.fixture(scope="module")
def opened(honest, tmp_path_factory):
    """Kind -> [what came of opening it, seconds, whether torch was imported], and whether something was executed."""
    folders = {}
    for kind, make in hostile.KINDS.items():
        resumed = kind.startswith("resumed")
        folders[kind] = tmp_path_factory.mktemp("hostile") / ("resumed" if resumed else "opened")
        shutil.copytree(honest, folders[kind])
        make(folders[kind])
    command = [sys.executable, "-c", OPEN_EACH, *map(str, folders.values())]
    result = subprocess.run(command, capture_output=True, text=True, timeout=200)
    assert result.returncode == 0, result.stderr
    found = json.loads(result.stdout)
    executed = {kind: (folder.parent / hostile.CANARY).exists() for kind, folder in folders.items()}
    yield {kind: [*found[str(folder)], executed[kind]] for kind, folder in folders.items()}
    for folder in folders.values():
        shutil.rmtree(folder.parent)


@pytest.mark.parametrize("kind", hostile.KINDS)
def test_a_hostile_run_is_refused_before_torch_is_imported(opened, kind):
    said, seconds, torch_imported, executed = opened[kind]
    assert said.startswith("RunError: "), said
    assert not executed and not torch_imported
    assert seconds < 3, "a second on a machine that does nothing else"


def test_an_honest_run_opens(honest):
    assert len(engram.predict(honest, [np.zeros((12, 12), np.uint8)])) == 1


def test_a_thousand_flipped_bits_and_cuts_are_all_found(honest, tmp_path):
    run, luck = shutil.copytree(honest, tmp_path / "run"), random.Random(0)
    checkpoint = next(run.glob("checkpoints/step-2"))
    sealed = [run / name for name in SEALED if (run / name).exists()]
    files = [*sealed, run / "run.json", *checkpoint.iterdir()]
    missed = []
    for number in range(1000):
        path = files[number % len(files)]
        content = path.read_bytes()
        place, bit = luck.randrange(len(content)), luck.randrange(8)
        cut = luck.random() < 0.2
        flipped = bytes([content[place] ^ 1 << bit])
        path.write_bytes(content[:place] + (b"" if cut else flipped + content[place + 1 :]))
        try:
            check(checkpoint) if path.parent == checkpoint else checked(run)
            missed.append((path.name, place, bit, cut))
        except ValueError as error:
            assert isinstance(error, RunError) or path.parent == checkpoint
        path.write_bytes(content)
    assert missed == []
    assert checked(run).path == run


def test_names_of_classes_are_text_wherever_they_are_shown(honest):
    page, card = ((honest / name).read_text() for name in ("report.html", "README.md"))
    assert "alert(1)" in page and "<script>alert" not in page
    assert "alert(1)" in card and "<script>" not in card and "[x](javascript" not in card
