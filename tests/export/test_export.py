"""A run is exported, proved in a process of its own, and refused where it answers otherwise."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import report_run
import tiny_run
import torch
from click.testing import CliRunner
from safetensors.numpy import load_file

import engram
from engram.api.exporting import rows_of
from engram.cli import cli
from engram.core.errors import ConfigError, ExportError
from engram.core.rundir import RunDirectory
from engram.export import proof, to_eject
from engram.predict.predictor import load
from engram.tasks.image_classification import ImageClassification
from engram.tasks.image_tagging import ImageTagging

ALONE = "import sys\nfor name in ('engram', 'numpy', 'safetensors'): sys.modules[name] = None\nimport runpy\n"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunDirectory:
    return report_run.make(tmp_path_factory.mktemp("export") / "run", channels=3)


def test_an_ejected_folder_answers_with_torch_alone(run: RunDirectory, tmp_path: Path) -> None:
    written = engram.export(run.path, to="eject", out=tmp_path / "mine")
    assert written.proof is not None and written.proof.rows == 60
    assert written.proof.metrics["accuracy"]["run"] == written.proof.metrics["accuracy"]["exported"]
    program = f"{ALONE}runpy.run_path({str(tmp_path / 'mine' / 'model.py')!r}, run_name='__main__')"
    ended = subprocess.run([sys.executable, "-W", "ignore", "-c", program], capture_output=True, text=True, check=True)
    assert "logits: 32 examples" in ended.stdout
    facts = json.loads((tmp_path / "mine" / "model.json").read_text("utf-8"))
    assert facts["classes"] == sorted(report_run.HOSTILE) and facts["proof"]["rows"] == 60


def test_a_network_of_ones_own_is_ejected_with_its_own_source(tmp_path: Path) -> None:
    made = report_run.make(tmp_path / "run", network=tiny_run.Net())
    written = engram.export(made.path, to="eject", model=tiny_run.Net)
    text = (written.path / "model.py").read_text("utf-8")
    assert "network = Net()" in text and "Small enough to learn this" in text and "ConvNet" not in text


def test_what_answers_otherwise_is_refused_and_leaves_nothing(
    run: RunDirectory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = to_eject._separate
    monkeypatch.setattr(to_eject, "_separate", lambda tensors: {k: v + 1 for k, v in whole(tensors).items()})
    with pytest.raises(ExportError, match="not the answers"):
        engram.export(run.path, to="eject", out=tmp_path / "new" / "mine")
    assert not list(tmp_path.iterdir())


def test_differences_beyond_the_tolerance_are_named() -> None:
    wanted, where = np.ones((9, 4), np.float32), [f"{row}.png" for row in range(9)]
    assert proof.compared("logits", wanted + 5e-5, wanted, where) == pytest.approx(5e-5, rel=0.01)
    got = wanted.copy()
    got[7, 2] += 0.01
    with pytest.raises(ExportError, match=r"logits of 1 of 9 rows .* 0.01 \(7.png\)"):
        proof.compared("logits", got, wanted, where)
    with pytest.raises(ExportError, match="logits of 1 of 9"):
        proof.compared("logits", np.where(got > 1, np.nan, got), wanted, where)
    assert proof.compared("logits", got * 1000, got * 1000 + 0.05, where) > 0.04, "large numbers may be off by more"


def test_weights_alone_are_named_and_need_no_network(run: RunDirectory, tmp_path: Path) -> None:
    written = engram.export(run.path, to="safetensors", out=tmp_path / "weights.safetensors")
    tensors = load_file(written.path)
    facts = json.loads(written.beside[0].read_text("utf-8"))
    assert set(tensors) == set(facts["tensors"]) and facts["network"]["name"] == "conv_net"
    assert facts["tensors"]["network.head.weight"]["of"] == "network"
    assert facts["tensors"]["temperature"]["of"] == "calibration"


def test_a_run_opens_with_what_was_exported_from_it(tmp_path: Path) -> None:
    made = report_run.make(tmp_path / "run")
    for _ in range(2):  # the second takes the place of the first
        engram.export(made.path, to="safetensors")
    (tmp_path / "run" / "export" / "ejected").mkdir()
    assert load(made.path).names


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--to", "onnx", "--out", "model.pt"], "expected --out to name a .onnx file"),
        (["--to", "eject", "--out", "."], "what is not there yet"),
        (["--to", "tensorflow"], "onnx"),
    ],
)
def test_what_cannot_be_written_is_said_at_once(run: RunDirectory, arguments: list[str], said: str) -> None:
    result = CliRunner().invoke(cli, ["export", str(run.path), *arguments])
    assert result.exit_code == 2 and said in result.output


def test_a_missing_library_is_named(run: RunDirectory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    with pytest.raises(ConfigError, match=r"onnxscript is not installed.*engram\[onnx\]"):
        engram.export(run.path, to="onnx")


@pytest.mark.slow
def test_onnx_runs_without_torch_at_any_size(run: RunDirectory, tmp_path: Path) -> None:
    written = engram.export(run.path, to="onnx", out=tmp_path / "model.onnx")
    assert written.proof is not None and max(written.proof.difference.values()) < 1e-4
    predictor = load(run)
    pictures = np.random.default_rng(1).integers(0, 256, (5, 33, 21, 3), dtype=np.uint8)
    with torch.no_grad():
        expected, strange = predictor.output(predictor.encode(list(pictures)))
    found = proof.run_apart("onnx", written.path, [{"image": torch.from_numpy(pictures[:n])} for n in (1, 5)])
    np.testing.assert_allclose(found[1]["logits"], expected.numpy(), atol=1e-3, rtol=1e-4)
    np.testing.assert_allclose(found[0]["unfamiliarity"], strange[:1].numpy(), atol=1e-3, rtol=1e-3)
    import onnx

    model = onnx.load(written.path)
    said = {prop.key: json.loads(prop.value) for prop in model.metadata_props}
    assert said["engram.classes"] == sorted(report_run.HOSTILE) and said["engram.views"] == ["plain"]
    shape = [dim.dim_param or dim.dim_value for dim in model.graph.input[0].type.tensor_type.shape.dim]
    assert shape == ["batch", "height", "width", 3]
    assert {out.name for out in model.graph.output} == {"logits", "probabilities", "unfamiliarity"}
    assert model.graph.output[0].type.tensor_type.shape.dim[0].dim_param == "batch"


@pytest.mark.slow
def test_a_program_of_torch_is_proved_too_for_several_labels(tmp_path: Path) -> None:
    made = report_run.make(tmp_path / "run", task=ImageTagging())
    written = engram.export(made.path, to="torch")
    assert written.proof is not None and written.proof.metrics["macro_f1"]["run"] > 0
    program = torch.export.load(written.path).module()
    answers = program(torch.zeros(2, 16, 16, 1, dtype=torch.uint8))
    assert torch.equal(answers["probabilities"], answers["logits"].sigmoid())


@pytest.mark.slow
def test_rows_come_from_the_data_as_long_as_they_are_as_they_were(tmp_path: Path) -> None:
    pictures, labels = ImageClassification.sample().data
    np.savez(tmp_path / "data.npz", x=pictures, y=labels)
    run = str(tmp_path / "run")
    engram.train(str(tmp_path / "data.npz"), out=run, steps=2, device="cpu")
    rows = rows_of(load(run))
    assert rows.exact and "validation rows of" in rows.source and None not in rows.kept
    first = int(rows.where[0].partition("[")[2].rstrip("]"))
    pictures[first] = 0
    np.savez(tmp_path / "data.npz", x=pictures, y=labels)
    assert len(rows_of(load(run))) == len(rows) - 1
    (tmp_path / "data.npz").unlink()
    kept = rows_of(load(run))
    assert not kept.exact and len(kept) == len(rows) and kept.source.endswith("that the run keeps")
