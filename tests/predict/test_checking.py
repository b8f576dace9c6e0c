"""Hostile and damaged runs: refused with a RunError, within a second, before torch is imported; nothing is executed."""

import json
import shutil
import subprocess
import sys

import hostile
import numpy as np
import pytest

import engram

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
    random = np.random.default_rng(0)
    pictures = random.integers(0, 90, (60, 12, 12), dtype=np.uint8)
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
        folders[kind] = tmp_path_factory.mktemp("hostile") / ("resumed" if "checkpoint" in kind else "opened")
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


def test_names_of_classes_are_text_wherever_they_are_shown(honest):
    page, card = ((honest / name).read_text() for name in ("report.html", "README.md"))
    assert "alert(1)" in page and "<script>alert" not in page
    assert "alert(1)" in card and "<script>" not in card and "[x](javascript" not in card
