"""The service within the process: the same answers as the predictor's, and refusals before anything is parsed."""

import base64
import json
import re

import numpy as np
import pytest
import served
import tiny_run
import writing_run

from engram.core.errors import ConfigError
from engram.predict.predictor import load
from engram.serve.access import access, hostname
from engram.serve.limits import limits

PREDICT = "/v1/models/corners/predict"


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return served.make_run(tmp_path_factory.mktemp("runs") / "corners")


@pytest.fixture(scope="module")
def predictor(run):
    return load(run, model=tiny_run.Net)


@pytest.fixture(scope="module")
def app(run, tmp_path_factory):
    bounds = {"body_bytes": 200_000, "items": 20, "pixels": 10_000, "json_values": 5_000}
    return served.server({"corners": run}, tmp_path_factory.mktemp("registry"), **bounds).app


@pytest.fixture(scope="module")
def pictures():
    return list(tiny_run.pictures(3, seed=5)[0])


def post(app, path=PREDICT, **more):
    (answer,) = served.asking(app, ("POST", path, more))
    return answer


def in_base64(picture):
    return base64.b64encode(served.png(picture)).decode()


def test_answers_are_those_of_the_predictor(app, predictor, pictures):
    files = [served.png(picture) for picture in pictures]
    one, many, numbers, options = (
        post(app, json={"input": in_base64(pictures[0])}),
        post(app, json={"inputs": [in_base64(picture) for picture in pictures]}),
        post(app, json={"inputs": [{"image": picture.tolist()} for picture in pictures]}),
        post(app, json={"input": "data:image/png;base64," + in_base64(pictures[0]), "options": {"top": 2}}),
    )
    assert one.status_code == 200 and one.headers["x-engram-version"] == "corners"
    assert one.json() == predictor.predict(files[0])
    assert many.json() == predictor.predict(files)
    assert numbers.json() == predictor.predict([{"image": picture} for picture in pictures])
    assert options.json() == predictor.predict(files[0], top=2)


def test_forms_hold_files_and_options(app, predictor, pictures):
    parts = [("image", (f"{n}.png", served.png(picture))) for n, picture in enumerate(pictures)]
    answers = post(app, files=parts, data={"top": "1"}).json()
    expected = predictor.predict([served.png(picture) for picture in pictures], top=1)
    assert answers == [{**answer, "input": f"{n}.png"} for n, answer in enumerate(expected)]
    assert post(app, files={"file": ("0.png", served.png(pictures[0]))}, data={"top": "1"}).json() == answers[0]


def test_an_answer_says_what_it_hangs_on(app, predictor, pictures):
    told = post(app, "/v1/models/corners/explain", json={"input": in_base64(pictures[0])}).json()
    answer = predictor.predict(served.png(pictures[0]))
    assert {**told, **answer} == told and told["kind"] == "pixels" and told["explains"] == answer["label"]
    top, _, left, _ = max(told["parts"], key=lambda part: part["influence"])["box"]
    assert ("top" in answer["label"]) == (top < 8) and ("left" in answer["label"]) == (left < 8)
    several = post(app, "/v1/models/corners/explain", json={"inputs": []})
    assert several.status_code == 422
    assert post(app, "/v1/models/corners/explain", json={"input": "no picture"}).status_code == 422


def test_large_bodies_are_answered_alike(app, predictor):
    """They are read in another thread."""
    noise = np.random.default_rng(0).integers(0, 256, (8, 100, 100), dtype=np.uint8)
    files = [served.png(picture) for picture in noise]
    expected = [{**answer, "input": "x.png"} for answer in predictor.predict(files)]
    assert post(app, files=[("image", ("x.png", file)) for file in files]).json() == expected
    texts = [base64.b64encode(file).decode() for file in files]
    assert post(app, json={"inputs": texts}).json() == predictor.predict(files)


def test_what_cannot_be_read_is_told_in_its_place(app, pictures):
    inputs = [
        in_base64(pictures[0]),
        "/etc/passwd",
        base64.b64encode(b"%PDF").decode(),
        {"pixels": []},
        None,
        [[1, "a"]],
    ]
    answers = post(app, json={"inputs": inputs}).json()
    assert ["error" in answer for answer in answers] == [False, True, True, True, True, True]
    alone = post(app, json={"input": "/etc/passwd"})
    assert alone.status_code == 422 and "base64" in alone.json()["error"]


@pytest.mark.parametrize(
    ("content", "status", "said"),
    [
        (b"{", 400, "JSON"),
        (b'{"input": "a", "input": "b"}', 400, "twice"),
        (b'{"inputs": ' + b"[" * 100_000, 400, "values"),
        (b'{"input": ' + b"[" * 2_000 + b"]" * 2_000 + b"}", 400, "nested"),
        (b'{"input": [' + b"1," * 5_001 + b"1]}", 400, "values"),
        (b'{"input": ' + b"9" * 10_000 + b"}", 400, ""),
        (b"\xff\xfe", 400, ""),
        (b"[]", 422, "object"),
        (b"{}", 422, "either"),
        (b'{"input": "a", "inputs": []}', 422, "either"),
        (b'{"inputs": []}', 422, "1 to 20"),
        (b'{"inputs": "abc"}', 422, "list"),
        (b'{"inputs": [' + b"0," * 20 + b"0]}", 413, "1 to 20"),
        (b'{"input": "a", "option": {}}', 422, "option"),
        (b'{"input": "a", "options": {"tops": 1}}', 422, "tops"),
        (b'{"input": "a", "options": {"top": "many"}}', 422, "top"),
        (b'{"input": NaN}', 422, "float"),
        (b'{"input": [[1e999]]}', 422, "infinity"),
        (b'{"input": "\\ud800"}', 422, "base64"),
        (b'"' + b"x" * 200_000 + b'"', 413, "200,000 bytes"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_bodies_that_are_refused(app, content, status, said):
    answer = post(app, content=content, headers={"content-type": "application/json"})
    assert answer.status_code == status and said in answer.json()["error"], answer.text


def test_sizes_are_refused_before_they_are_decoded(app, monkeypatch):
    large = served.png(np.zeros((200, 200), np.uint8))  # 40,000 pixels in 100 bytes
    monkeypatch.setattr("engram.features._pixels.read", lambda *a, **k: pytest.fail("it was decoded"))
    answer = post(app, files={"image": ("large.png", large)})
    assert answer.status_code == 422 and "10,000 pixels" in answer.json()["error"]
    assert post(app, files=[("image", ("x.png", b"x"))] * 21).status_code in (400, 413)
    assert post(app, content=b"x", headers={"content-type": "text/plain"}).status_code == 415
    broken = {"content-type": "multipart/form-data; boundary=x"}
    assert post(app, content=b"--y\r\nno form", headers=broken).status_code in (400, 422)
    assert post(app, content=b"", headers={"content-type": "multipart/form-data"}).status_code == 400
    declared = {"content-type": "application/json", "content-length": str(10 << 30)}
    assert post(app, content=b"{}", headers=declared).status_code == 413


@pytest.fixture(scope="module")
def every_route(run, tmp_path_factory):
    """A server that offers all there is, with and without a token, and the paths of its routes."""
    folder = tmp_path_factory.mktemp("talk")
    runs = {"corners": run, "talk": writing_run.make(folder / "talk")}

    def opening(path):
        return load(path, model=tiny_run.Net if path is run else None)

    plain = served.server(runs, folder, opening=opening)
    named = {"host": "0.0.0.0", "token": TOKEN, "hostnames": ("Models.example",)}
    guarded = served.server(runs, folder, opening=opening, **named)
    paths = [route.path for route in plain.routes.routes]
    assert {"/v1/models/corners/explain", "/v1/models/talk/generate", "/v1/chat/completions"} < set(paths)
    return plain.app, guarded.app, [*paths, "/nowhere"]


TOKEN = "correct-horse-battery"
FOREIGN = [
    {"host": "evil.example"}, {"host": "127.0.0.1.evil.example:8000"}, {"host": "10.0.0.1"}, {"host": ""},
    {"origin": "https://evil.example"}, {"origin": "null"}, {"origin": "http://127.0.0.1:9"},
    {"sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors"},
]  # fmt: skip


@pytest.mark.parametrize("headers", FOREIGN, ids=str)
def test_nobody_from_elsewhere_reads_or_asks_anything(every_route, headers):
    app, _, paths = every_route
    questions = [(method, path, {"headers": headers}) for path in paths for method in ("GET", "POST", "OPTIONS")]
    for answer in served.asking(app, *questions):
        assert answer.status_code in (403, 421) and set(answer.json()) == {"error"}
        assert "access-control-allow-origin" not in answer.headers


def test_friends_are_let_in(app):
    for headers in (
        {"origin": "http://127.0.0.1:8000"},
        {"host": "localhost:1", "origin": "http://localhost:1"},
        {"host": "[::1]:8000"},
    ):
        assert served.asking(app, ("GET", "/v1/models", {"headers": headers}))[0].status_code == 200


def test_elsewhere_than_on_loopback_a_token_is_needed(every_route):
    with pytest.raises(ConfigError, match="token"):
        access("0.0.0.0")
    with pytest.raises(ConfigError, match="16"):
        access("0.0.0.0", token="short")
    _, app, paths = every_route
    for host in ("10.1.2.3:8000", "models.example", "localhost"):
        for path in paths:
            plain, wrong, right = served.asking(
                app,
                *(("GET", path, {"headers": {"host": host, **h}}) for h in (
                    {}, {"authorization": "Bearer wrong-horse-battery"}, {"authorization": f"bearer {TOKEN}"})),
            )  # fmt: skip
            opened = path in ("/", "/docs", "/healthz", "/readyz")
            assert (plain.status_code, wrong.status_code) == ((200, 200) if opened else (401, 401))
            assert right.status_code in (200, 404, 405)
    assert served.asking(app, ("GET", "/healthz", {"headers": {"host": "other.example"}}))[0].status_code == 421


@pytest.mark.parametrize(
    ("host", "name"),
    [("a:80", "a"), ("a", "a"), ("[::1]:80", "::1"), ("[::1]", "::1"), ("a:b", "a:b"), ("::1", ""), ("[a:80", "")],
)
def test_host_headers_are_taken_apart(host, name):
    assert hostname(host) == name or not name


def test_numbers_for_prometheus(run, tmp_path, pictures):
    app = served.server({"corners": run}, tmp_path).app
    noise = {"input": [[255 * ((x * y) % 2) for x in range(16)] for y in range(16)]}
    asked = [{"input": in_base64(pictures[0])}] * 3 + [noise]
    served.asking(app, *(("POST", PREDICT, {"json": body}) for body in asked))
    text = served.asking(app, ("GET", "/metrics", {}))[0].text
    values = dict(re.findall(r"^(\w+(?:\{[^}]*\})?) (\S+)$", text, re.MULTILINE))
    assert values[f'engram_requests_total{{path="{PREDICT}",status="200"}}'] == "4"
    assert values['engram_answers_total{model="corners"}'] == "4"
    assert values['engram_batch_items_count{model="corners"}'] == "4"
    label = load(run, model=tiny_run.Net).predict(pictures[0])["label"]
    assert float(values[f'engram_class_ratio{{model="corners",label="{label}",of="recent"}}']) >= 0.75
    validation = [float(v) for k, v in values.items() if k.startswith("engram_class_ratio") and 'of="validation"' in k]
    assert sum(validation) == pytest.approx(1) and 0 < float(values['engram_class_drift{model="corners"}']) <= 1
    assert 'engram_unfamiliar_ratio{model="corners",of="validation"}' in values


def test_the_schema_says_what_the_task_says(app):
    schema = served.asking(app, ("GET", "/openapi.json", {}))[0].json()
    content = schema["paths"][PREDICT]["post"]["requestBody"]["content"]
    options = content["application/json"]["schema"]["oneOf"][0]["properties"]["options"]["properties"]
    assert options["top"] == {
        "default": 5, "description": "how many labels to name with their probabilities", "title": "Top",
        "type": "integer",
    }  # fmt: skip
    example = content["application/json"]["example"]
    assert post(app, json=example).status_code == 200
    model = served.asking(app, ("GET", "/v1/models", {}))[0].json()["data"][0]
    assert {"height": 16, "width": 16, "channels": 1, "ground": "dark"}.items() <= model["inputs"]["image"].items()


def test_pages_run_no_script_but_their_own(app):
    for path in ("/", "/docs"):
        page = served.asking(app, ("GET", path, {}))[0]
        policy = page.headers["content-security-policy"]
        assert "default-src 'none'" in policy and "sha256-" in policy and "unsafe-eval" not in policy
        assert not re.search(r"(src|href)=.?https?:|@import|innerHTML|\son\w+=\"", page.text)


def test_a_failure_of_ours_says_so_and_nothing_more(run, tmp_path, pictures, monkeypatch, capfd):
    server = served.server({"corners": run}, tmp_path)

    def fails(*arguments, **named):
        raise RuntimeError("secret")

    monkeypatch.setattr(server.models["corners"].version.predictor, "answers", fails)
    answer = post(server.app, json={"input": in_base64(pictures[0])})
    assert answer.status_code == 500 and "secret" not in answer.text and json.loads(answer.text)["error"]
    assert "secret" in capfd.readouterr().err


def test_limits_are_checked():
    assert limits({"body_bytes": "10", "queue_seconds": "0.5"}).queue_seconds == 0.5
    for wrong in ({"body_byte": 1}, {"body_bytes": "x"}, {"body_bytes": 0}, {"items": -1}):
        with pytest.raises(ConfigError):
            limits(wrong)
