"""Which version a name serves: refused below a stated metric, undone, and never half written."""

import json

import pytest
import served
import tiny_run

import engram
from engram.api.serving import named
from engram.core.errors import ConfigError, RunError
from engram.serve.promotion import Registry

NET = {"model": tiny_run.Net}


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    return [served.make_run(folder / f"v{n}", accuracy=accuracy) for n, accuracy in enumerate((0.9, 0.95, 0.8))]


def test_promoted_and_undone(runs, tmp_path):
    first = engram.promote(runs[0].path, "corners", registry=tmp_path, **NET)
    second = engram.promote(runs[1].path, "corners", registry=tmp_path, **NET)
    assert first["before"] is None and second["before"] == first["run"] == str(runs[0].path)
    assert second["scores"]["accuracy"] == 0.95 and second["split"] == "test"
    assert Registry(tmp_path).names() == ["corners"]
    assert engram.promote(None, "corners", undo=True, registry=tmp_path)["run"] == str(runs[0].path)
    assert Registry(tmp_path).read("corners").current.run == str(runs[0].path)
    assert engram.promote(None, "corners", undo=True, registry=tmp_path)["run"] is None
    with pytest.raises(ConfigError, match="none"):
        engram.promote(None, "corners", undo=True, registry=tmp_path)


def test_refused_below_a_stated_metric_then_and_ever_after(runs, tmp_path):
    options = {"registry": tmp_path, **NET}
    with pytest.raises(RunError, match=r"at least 0.92; .* has 0.9 on its test rows"):
        engram.promote(runs[0].path, "corners", least={"accuracy": 0.92}, **options)
    assert not Registry(tmp_path).names()
    engram.promote(runs[0].path, "corners", least={"accuracy": 0.85, "cross_entropy": 0.5}, **options)
    with pytest.raises(RunError, match=r"has 0\.8 "):
        engram.promote(runs[2].path, "corners", **options)
    with pytest.raises(RunError, match=r"at most 0\.2"):
        engram.promote(runs[1].path, "corners", least={"cross_entropy": 0.2}, **options)
    with pytest.raises(ConfigError, match="accuracy"):
        engram.promote(runs[1].path, "corners", least={"acuracy": 0.2}, **options)
    assert Registry(tmp_path).read("corners").least == {"accuracy": 0.85, "cross_entropy": 0.5}
    engram.promote(runs[2].path, "corners", least={"accuracy": 0.75}, **options)
    assert Registry(tmp_path).read("corners").current.run == str(runs[2].path)


def test_what_cannot_be_served_is_not_promoted(runs, tmp_path):
    with pytest.raises(RunError, match="cannot be served"):
        engram.promote(runs[0].path, "corners", registry=tmp_path)  # its network is of the user's own
    for name in ("../corners", "", "a b", "a/b", "." * 3):
        with pytest.raises(ConfigError, match="name"):
            engram.promote(runs[0].path, name, registry=tmp_path, **NET)
    (tmp_path / "corners.json").write_text(json.dumps({"least": {}, "versions": []}))
    with pytest.raises(RunError, match="damaged"):
        engram.promote(runs[0].path, "corners", registry=tmp_path, **NET)


def test_the_registry_decides_and_the_start_is_what_is_behind_it(runs, tmp_path):
    engram.promote(runs[1].path, "corners", registry=tmp_path, **NET)
    server = served.server({"corners": runs[0], "other": runs[2]}, tmp_path)
    assert {model.name: model.version.name for model in server.models} == {"corners": "v1", "other": "v2"}
    assert {model.name for model in served.server({}, tmp_path).models} == {"corners"}
    with pytest.raises(ConfigError, match="engram serve RUN"):
        served.server({}, tmp_path / "empty")


def test_runs_get_names(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert named("runs/photos") == {"photos": "runs/photos"}
    assert named(["a=runs/photos", "runs/photos"]) == {"a": "runs/photos", "photos": "runs/photos"}
    (tmp_path / "x=y").mkdir()
    assert named(["x=y"]) == {"x=y": "x=y"}
    with pytest.raises(ConfigError, match="NAME=RUN"):
        named(["runs/photos", "others/photos"])
