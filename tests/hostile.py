"""Run folders that were made to do harm, kind by kind, out of a real one. They are whole: every checksum fits."""

from __future__ import annotations

import hashlib
import io
import json
import os
import pickle
import struct
import zipfile
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file
from safetensors.numpy import save as tensors

from engram.core import strict
from engram.core.checkpoints import FACTS, MANIFEST, STATE

CANARY = "executed"
"""The name of a file that what is executed on loading leaves in the folder beside the run."""


class Payload:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def seal(run, **changes):
    """Write run.json so that it fits the files as they are now."""
    facts = strict.unsealed((run / "run.json").read_bytes())
    for path, value in changes.items():
        *outer, last = path.split("__")
        inner = facts
        for name in outer:
            inner = inner[name]
        inner[last] = value
    for name in facts["files"] if isinstance(facts["files"], dict) else ():
        if (run / name).is_file() and (run / name).stat().st_size < 1 << 30:
            facts["files"][name] = strict.digest(run / name)
    (run / "run.json").write_bytes(strict.sealed(facts))


def seal_text(run, body):
    """Write a text of one's own as run.json, with a seal that fits."""
    body = body if isinstance(body, bytes) else body.encode()
    mark = b',\n "sha256": "'
    (run / "run.json").write_bytes(body + mark + hashlib.sha256(body).hexdigest().encode() + b'"\n}\n')


def replaced(name, content):
    def make(run):
        (run / name).write_bytes(content(run) if callable(content) else content)
        seal(run)

    return make


def facts(**changes):
    return lambda run: seal(run, **changes)


def pickled(run):
    return pickle.dumps(Payload(run.parent / CANARY))


def zipped(run):
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as file:
        file.writestr("../../" + CANARY, b"")
        file.writestr("archive/data.pkl", pickled(run))
    return content.getvalue()


def headed(header, data=b""):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


def entry(shape, begin, end, dtype="F32"):
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}


def weights(change):
    def content(run):
        found = load_file(run / "model.safetensors")
        change(found)
        return tensors(found)

    return content


def spoiled(value):
    def change(found):
        name = next(n for n in found if n.startswith("network.") and found[n].ndim == 4)
        found[name] = found[name].copy()
        found[name].flat[3] = value

    return weights(change)


def renamed(name):
    def change(found):
        found[name] = found.pop("bias")

    return weights(change)


def linked(name, target):
    def make(run):
        seal(run)
        if (run / name).is_dir():
            (run / name).rename(run.parent / "elsewhere")
        else:
            (run / name).unlink(missing_ok=True)
        (run / name).symlink_to(target(run) if callable(target) else target)

    return make


def outside(run):
    return run.parent / "elsewhere"


def piped(name):
    def make(run):
        (run / name).unlink(missing_ok=True)
        os.mkfifo(run / name)

    return make


def folded(name):
    def make(run):
        (run / name).unlink()
        (run / name).mkdir()

    return make


def sparse(run):
    size = 1 << 40
    header = json.dumps({"bias": entry([size // 4], 0, size)}).encode()
    with open(run / "model.safetensors", "wb") as file:
        file.write(struct.pack("<Q", len(header)) + header)
        file.truncate(8 + len(header) + size)
    seal(run)


def checkpointed(run):
    """Every checkpoint's tensors become a pickle, under a manifest that fits; the training is to go on."""
    for folder in (run / "checkpoints").iterdir():
        (folder / STATE).write_bytes(pickled(run))
        checksums = {name: strict.digest(folder / name) for name in (STATE, FACTS)}
        step = int(folder.name.removeprefix("step-"))
        (folder / MANIFEST).write_bytes(strict.sealed({"step": step, "files": checksums}))
    seal(run, status="training")


def described(change):
    def make(run):
        content = json.loads((run / "features.json").read_text())
        change(content)
        (run / "features.json").write_text(json.dumps(content))
        seal(run)

    return make


def text(body):
    return lambda run: seal_text(run, body)


def pair(**header):
    return replaced("model.safetensors", headed(header, b"\0" * 16))


KINDS = {
    "pickle as the model": replaced("model.safetensors", pickled),
    "pickle as the features": replaced("features.safetensors", pickled),
    "pickle as the floors": replaced("floors.safetensors", pickled),
    "pickle as the examples": replaced("examples.safetensors", pickled),
    "resumed from a pickle": checkpointed,
    "resumed on a billion threads": facts(status="training", plan__threads=10**9),
    "resumed without a plan": facts(status="training", plan={}),
    "pickle as run.json": lambda run: (run / "run.json").write_bytes(pickled(run)),
    "archive of torch.save, with names that lead out": replaced("model.safetensors", zipped),
    "tensor named like a path out": replaced("model.safetensors", renamed("../../bias")),
    "link in place of the model": linked("model.safetensors", "/etc/passwd"),
    "link in place of run.json": linked("run.json", "/etc/passwd"),
    "link where run.json is written next": linked("run.json.tmp", outside),
    "link in place of metrics.jsonl": linked("metrics.jsonl", outside),
    "link in place of report.html": linked("report.html", outside),
    "link in place of source/": linked("source", "/tmp"),
    "link in place of checkpoints/": linked("checkpoints", outside),
    "pipe in place of the model": piped("model.safetensors"),
    "pipe in place of run.json": piped("run.json"),
    "pipe in place of pace.jsonl": piped("pace.jsonl"),
    "device in place of the model": linked("model.safetensors", "/dev/zero"),
    "folder in place of the model": folded("model.safetensors"),
    "folder in place of run.json": folded("run.json"),
    "header longer than memory": replaced("model.safetensors", struct.pack("<Q", 2**63 - 1) + b"{}"),
    "header longer than the file": replaced("model.safetensors", struct.pack("<Q", 1000) + b"{}"),
    "header that is no object": replaced("model.safetensors", headed([])),
    "header nested without end": replaced("model.safetensors", headed(b"[" * 10**6)),
    "tensors that overlap": pair(a=entry([4], 0, 16), b=entry([2], 8, 16)),
    "tensors with a gap": pair(a=entry([2], 8, 16)),
    "tensor before the file": pair(a=entry([4], -16, 0)),
    "tensor beyond the file": pair(a=entry([2**40], 0, 2**42)),
    "shape beyond all numbers": pair(a=entry([2**62, 2**62, 2**62], 0, 16)),
    "shape of fractions": pair(a=entry([4.0], 0, 16)),
    "shape that is no list": pair(a=entry("4", 0, 16)),
    "type that there is not": pair(a=entry([4], 0, 16, "PICKLE")),
    "file full of holes": sparse,
    "weights that are no numbers": replaced("model.safetensors", spoiled(np.nan)),
    "weights that are infinite": replaced("model.safetensors", spoiled(np.inf)),
    "network named like a path": facts(network__name="../../evil"),
    "network named like a function": facts(network__name="os.system"),
    "network of a billion channels": facts(network__arguments={"widths": [10**9], "depth": 2}),
    "network of infinite depth": facts(network__arguments={"depth": float("inf")}),
    "source that leads out": facts(network={"factory": "system", "source": "../../x.py", "sha256": ""}),
    "source that leads out in Windows": facts(network={"factory": "system", "source": "..\\x.py", "sha256": ""}),
    "task named like a module": facts(task="os.path"),
    "task named like a path": facts(task="../../evil"),
    "answers without number": facts(delivered__num_outputs=10**12),
    "checksums of files outside": facts(files={"../../etc/passwd": ""}),
    "checksums of absolute files": facts(files={"/etc/passwd": ""}),
    "checksums that are a list": facts(files=["model.safetensors"]),
    "feature named like a function": described(lambda content: content["image"].update(feature="os.system")),
    "feature that sees without end": described(lambda content: content["image"]["state"].update(size=[10**9, 10**9])),
    "names of labels that are lists": described(lambda content: content["label"]["state"].update(names=[["a"]])),
    "JSON nested without end": text('{"format": 2, "x": ' + "[" * 10**6),
    "JSON nested deep": text('{"format": 2, "x": ' + "[" * 200 + "]" * 200),
    "JSON without end": text('{"format": 2, "x": "' + "x" * (33 << 20) + '"'),
    "JSON of numbers without end": text('{"format": 2, "x": [' + "0," * 3_000_000 + "0]"),
    "JSON that says it twice": text('{"format": 2, "status": "done", "status": "training"'),
    "JSON that is no UTF-8": text(b'{"format": 2, "x": "\xff\xfe"'),
    "JSON with a number without end": text('{"format": ' + "9" * 10**5),
    "JSON that is a list": lambda run: (run / "run.json").write_text("[]"),
    "run.json that is empty": lambda run: (run / "run.json").write_text(""),
    **{
        f"{name.replace('__', '.')} of another kind": facts(**{name: value})
        for name, value in {
            "status": 1, "task": ["image_classification"], "network": "conv_net", "network__arguments": [1],
            "delivered": None, "delivered__num_outputs": True, "plan": [], "plan__steps": "many",
            "plan__optimizer": 3, "options": 1, "data": "x", "results": 7, "format": "2",
        }.items()
    },
}  # fmt: skip
