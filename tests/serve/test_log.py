"""The log of requests: a line each, no bodies unless wanted, and rotated by moving it away."""

import json

import pytest
import served

from engram.core.errors import ConfigError
from engram.serve.log import RequestLog

ASKED = {"json": {"input": "no picture"}}
PREDICT = "/v1/models/corners/predict"


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return served.make_run(tmp_path_factory.mktemp("runs") / "corners")


def lines_of(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_a_line_for_each_request_and_what_was_asked_only_where_it_is_wanted(run, tmp_path):
    plain, whole = tmp_path / "plain.jsonl", tmp_path / "whole.jsonl"
    for path, bodies in ((plain, False), (whole, True)):
        app = served.server({"corners": run}, tmp_path, log=RequestLog(path, bodies=bodies)).app
        foreign = {"headers": {"host": "evil.example"}}
        served.asking(app, ("POST", PREDICT, ASKED), ("GET", "/nowhere", {}), ("GET", "/v1/models", foreign))
    assert [line["status"] for line in lines_of(plain)] == [422, 404, 421]
    assert set(lines_of(plain)[0]) == {"time", "client", "method", "path", "status", "seconds", "received", "sent"}
    assert "no picture" not in plain.read_text()
    first = lines_of(whole)[0]
    assert json.loads(first["body"]) == ASKED["json"] and "error" in json.loads(first["answer"])
    assert first["received"] == len(first["body"]) and first["sent"] == len(first["answer"])


def test_it_goes_on_where_its_file_was_moved_away_and_stops_nothing_where_it_cannot(run, tmp_path, capsys):
    folder = tmp_path / "logs"
    folder.mkdir()
    path = folder / "requests.jsonl"
    app = served.server({"corners": run}, tmp_path, log=RequestLog(path)).app
    served.asking(app, ("GET", "/healthz", {}), ("GET", "/healthz", {}))
    path.rename(folder / "requests.1")
    served.asking(app, ("GET", "/readyz", {}))
    assert [line["path"] for line in lines_of(folder / "requests.1")] == ["/healthz"] * 2
    assert [line["path"] for line in lines_of(path)] == ["/readyz"]
    for one in folder.iterdir():
        one.unlink()
    folder.rmdir()
    assert served.asking(app, ("GET", "/healthz", {}))[0].status_code == 200
    folder.mkdir()
    served.asking(app, ("GET", "/healthz", {}))
    assert len(lines_of(path)) == 1
    with pytest.raises(ConfigError, match="cannot be written"):
        RequestLog(tmp_path / "nowhere" / "log")
