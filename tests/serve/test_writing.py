"""What writes is asked over HTTP: by our own route, and by OpenAI's official client as its API is asked."""

import asyncio
import contextlib
import json
import time
from functools import partial

import httpx
import pytest
import served
import writing_run

import engram

GENERATE = "/v1/models/{}/generate"
FOUR = {"max_tokens": 4, "seed": 1, "temperature": 0}


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    return {
        "talk": writing_run.make(folder / "talk"),
        "plays": writing_run.make(folder / "plays", converses=False),
    }


@pytest.fixture(scope="module")
def server(runs, tmp_path_factory):
    return served.server(runs, tmp_path_factory.mktemp("registry"), characters=1000, opening=engram.load)


def post(server, path, **body):
    (answer,) = served.asking(server.app, ("POST", path, {"json": body}))
    return answer


def events_of(answer):
    """The events of an answer, each a line of its own."""
    *lines, last = answer.text.split("\n\n")
    assert not last and all(line.startswith("data: ") for line in lines)
    return [line.removeprefix("data: ") for line in lines]


def test_what_is_written_is_what_generate_writes(server, runs):
    options = {"max_tokens": 40, "seed": 3, "temperature": 1.5}
    writing = engram.generate(runs["plays"], "a dog", **options)
    expected = {"text": str(writing), "ended": writing.ended, "tokens": writing.tokens, "read": 6}
    path = GENERATE.format("plays")
    assert post(server, path, prompt="a dog", options=options).json() == expected
    answer = post(server, path, prompt="a dog", options=options, stream=True)
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert answer.headers["x-engram-version"] == "plays" and answer.headers["x-frame-options"] == "DENY"
    *pieces, end = map(json.loads, events_of(answer))
    assert "".join(piece["text"] for piece in pieces) == expected["text"]
    assert end == {name: value for name, value in expected.items() if name != "text"}


def test_replies_are_those_of_chat(server, runs):
    talk = engram.chat(runs["talk"], **FOUR)
    said = [{"role": "user", "content": "how are you"}]
    assert post(server, GENERATE.format("talk"), messages=said, options=FOUR).json()["text"] == talk.say("how are you")
    said += [{"role": "assistant", "content": talk.history[-1][1]}, {"role": "user", "content": "what?"}]
    assert post(server, GENERATE.format("talk"), messages=said, options=FOUR).json()["text"] == talk.say("what?")


@pytest.mark.parametrize(
    ("name", "body", "status", "said"),
    [
        ("plays", {}, 422, "either prompt or messages"),
        ("plays", {"prompt": "a", "messages": []}, 422, "either"),
        ("plays", {"prompt": "a", "option": {}}, 422, "option"),
        ("plays", {"prompt": "a", "options": {"temperature": "hot"}}, 422, "temperature"),
        ("plays", {"prompt": "a", "options": {"temperature": -1}}, 422, "temperature"),
        ("plays", {"prompt": "a", "options": {"top_p": 0}}, 422, "top_p"),
        ("plays", {"prompt": "a", "options": {"seed": 2**64}}, 422, "seed"),
        ("plays", {"prompt": "a" * 1001}, 413, "1,000"),
        ("plays", {"messages": [{"role": "user", "content": "a"}]}, 422, "conversations"),
        ("talk", {"messages": []}, 422, "message"),
        ("talk", {"messages": [{"role": "tool", "content": "a"}]}, 422, "role"),
        ("talk", {"messages": [{"role": "user", "content": "a" * 1001}]}, 422, "1,000"),
    ],
)
def test_what_cannot_be_written_is_refused(server, name, body, status, said):
    answer = post(server, GENERATE.format(name), **body)
    assert answer.status_code == status and said in answer.json()["error"], answer.text


def test_extreme_options_are_no_failures(server):
    for options in ({"temperature": 1e-300}, {"temperature": 100}, {"top_p": 1e-30}, {"seed": -(2**63)}):
        answer = post(server, GENERATE.format("plays"), prompt="é", options={"max_tokens": 3, **options})
        assert answer.status_code == 200, (options, answer.text)


def test_conversations_are_scored_like_other_inputs(server, runs):
    example = server.models["talk"].version.predictor.features["text"].entry().example
    answer = post(server, "/v1/models/talk/predict", input=example).json()
    expected = engram.load(runs["talk"]).predict([[(turn["role"], turn["content"]) for turn in example]])[0]
    assert answer["perplexity"] == pytest.approx(expected["perplexity"])
    assert "role" in post(server, "/v1/models/talk/predict", input=[{"role": "me"}]).json()["error"]


CHAT = "/v1/chat/completions"
HELLO = [{"role": "user", "content": "hello"}]


@pytest.mark.parametrize(
    ("path", "body", "status", "said"),
    [
        (CHAT, {"messages": HELLO}, 400, "model"),
        (CHAT, {"model": "other", "messages": HELLO}, 404, "there is no model 'other'"),
        (CHAT, {"model": "plays", "messages": HELLO}, 400, "conversations"),
        (CHAT, {"model": "talk", "messages": []}, 400, "messages"),
        (CHAT, {"model": "talk", "messages": [{"role": "user", "content": [{"type": "image_url"}]}]}, 400, "content"),
        (CHAT, {"model": "talk", "messages": HELLO, "n": 2}, 400, "n is not supported"),
        (CHAT, {"model": "talk", "messages": HELLO, "tools": [{"type": "function"}]}, 400, "tools"),
        (CHAT, {"model": "talk", "messages": HELLO, "invented": 1}, 400, "invented"),
        (CHAT, {"model": "talk", "messages": HELLO, "stop": [""]}, 400, "stop"),
        ("/v1/completions", {"model": "plays", "prompt": [1, 2]}, 400, "prompt"),
        ("/v1/completions", {"model": "plays", "prompt": []}, 400, "prompts"),
    ],
)
def test_refusals_are_in_the_words_of_openais_api(server, path, body, status, said):
    answer = post(server, path, **body)
    error = answer.json()["error"]
    assert answer.status_code == status and said in error["message"], answer.text
    assert error["type"] == "invalid_request_error" and set(error) == {"message", "type", "param", "code"}


def test_openais_own_client_is_answered(runs, tmp_path):
    openai = pytest.importorskip("openai")
    paths = [runs["talk"].path, runs["plays"].path]
    with served.process(paths, tmp_path, own_network=False) as (_, url):
        client = openai.OpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0)
        assert {model.id for model in client.models.list()} == {"talk", "plays"}
        assert client.models.retrieve("talk").owned_by == "engram"

        asked = {"model": "plays", "prompt": "a dog", "max_tokens": 30, "seed": 5, "temperature": 0.1, "user": "me"}
        whole = client.completions.create(**asked)
        expected = engram.generate(runs["plays"], "a dog", max_tokens=30, seed=5, temperature=0.1)
        assert whole.choices[0].text == str(expected) and whole.object == "text_completion"
        assert whole.usage.model_dump(include={"prompt_tokens", "completion_tokens", "total_tokens"}) == {
            "prompt_tokens": 6, "completion_tokens": expected.tokens, "total_tokens": 6 + expected.tokens,
        }  # fmt: skip
        *pieces, last = client.completions.create(**asked, stream=True)
        assert "".join(piece.choices[0].text for piece in pieces) == str(expected)
        assert last.choices[0].finish_reason == whole.choices[0].finish_reason == "length"
        two = client.completions.create(**{**asked, "prompt": ["a", "the"]})
        assert [choice.index for choice in two.choices] == [0, 1]
        stop = str(expected)[10:12]
        short = client.completions.create(**asked, stop=[stop])
        assert short.choices[0].text == str(expected).partition(stop)[0] and short.choices[0].finish_reason == "stop"

        messages = [
            {"role": "developer", "content": "be kind"},
            {"role": "user", "content": [{"type": "text", "text": "how are you"}]},
        ]
        asked = {"model": "talk", "messages": messages, "max_completion_tokens": 12, "seed": 1}
        reply = client.chat.completions.create(**asked)
        said = reply.choices[0].message
        assert said.role == "assistant" and reply.usage.completion_tokens <= 12
        stream = client.chat.completions.create(**asked, stream=True, stream_options={"include_usage": True})
        *chunks, end, usage = stream
        assert chunks[0].choices[0].delta.role == "assistant" and usage.usage == reply.usage and not usage.choices
        assert "".join(chunk.choices[0].delta.content for chunk in chunks) == said.content
        assert end.choices[0].finish_reason == reply.choices[0].finish_reason
        with pytest.raises(openai.NotFoundError, match="there is no model"):
            client.chat.completions.create(model="gpt", messages=messages)
        with pytest.raises(openai.BadRequestError, match="not supported"):
            client.chat.completions.create(**asked, presence_penalty=1)


def test_who_goes_away_is_written_for_no_longer_and_places_are_limited(runs, tmp_path):
    """Two places, and texts that never end: a third is refused; once one of the two has gone there is room again."""
    asked = {"prompt": "a", "options": {"max_tokens": 1_000_000, "temperature": 0}, "stream": True}
    path = GENERATE.format("plays")
    bounds = {"writers": 2, "queue_seconds": 0.2, "own_network": False}

    async def run(url):
        async with httpx.AsyncClient(base_url=url, timeout=30) as client:
            async with client.stream("POST", path, json=asked) as one, client.stream("POST", path, json=asked) as two:
                coming = [stream.aiter_lines() for stream in (one, two)]
                for lines in coming:
                    assert "text" in await anext(lines)
                third = await client.post(path, json=asked)
                assert third.status_code == 429 and "retry-after" in third.headers
                assert (await client.get("/healthz")).status_code == 200
            ends = time.monotonic() + 10
            while (await client.post(path, json={"prompt": "a", "options": {"max_tokens": 1}})).status_code != 200:
                assert time.monotonic() < ends
            text = (await client.get("/metrics")).text
            assert 'engram_tokens_written_total{model="plays"}' in text

    with served.process([runs["plays"].path], tmp_path, **bounds) as (_, url):
        asyncio.run(run(url))


def test_where_all_connections_are_being_answered_the_next_is_told_so(runs, tmp_path):
    asked = {"prompt": "a", "options": {"max_tokens": 1_000_000, "temperature": 0}, "stream": True}
    bounds = {"connections": 2, "own_network": False}
    with served.process([runs["plays"].path], tmp_path, **bounds) as (_, url), contextlib.ExitStack() as stack:
        ask = partial(httpx.stream, "POST", url + GENERATE.format("plays"), json=asked)
        coming = [stack.enter_context(ask()).iter_lines() for _ in range(2)]
        assert all("text" in next(lines) for lines in coming)
        third = httpx.get(f"{url}/healthz")
        assert third.status_code == 503 and third.headers["retry-after"] == "1"
        stack.close()
        ends = time.monotonic() + 10
        while httpx.get(f"{url}/healthz").status_code != 200:
            assert time.monotonic() < ends


def test_texts_end_after_some_time(runs, tmp_path):
    server = served.server({"plays": runs["plays"]}, tmp_path, writing_seconds=0.2, opening=engram.load)
    answer = post(server, GENERATE.format("plays"), prompt="a", options={"max_tokens": 10**6, "temperature": 0})
    assert answer.json()["ended"] == "time" and answer.json()["tokens"] < 10**5
