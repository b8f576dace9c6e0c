"""`POST /v1/models/NAME/generate`: text as it is being written, for runs that write.

    {"prompt": TEXT}  or, of a run of conversations,  {"messages": [{"role": …, "content": …}, …]},
    with "options": {…} and "stream": true beside it where wanted

Each token is one call in the model's thread, so that several texts, and batches of other requests, take turns. Whoever
goes away is written for no longer.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from typing import Any

from fastapi import FastAPI, Request
from pydantic import BaseModel, ConfigDict, create_model

from engram.core.errors import ConfigError, DataError
from engram.predict import generating
from engram.predict.generating import Writing
from engram.serve.gate import Receive, Refused, Scope, Send
from engram.serve.limits import Limits
from engram.serve.models import Model
from engram.serve.predicting import ERRORS, as_json, version_header
from engram.serve.reading import json_object, schema_of, validated

Begin = Callable[[], Writing]
"""Begins to write; called in the model's thread."""


class Turn(BaseModel):
    """One turn of a conversation."""

    model_config = ConfigDict(extra="forbid")
    role: str
    content: str


class Asked(BaseModel):
    """What is to be written, and whether it is sent as it comes."""

    model_config = ConfigDict(extra="forbid")
    prompt: str | None = None
    messages: list[Turn] | None = None
    stream: bool = False


def add(app: FastAPI, model: Model, limits: Limits) -> None:
    """Offer to write, where the model's task does."""
    task = model.version.predictor.task
    if task.answers.sampling is None:
        return
    options = schema_of(task.answers.sampling, name=f"{type(task).__name__}Sampling")
    schema = create_model("Generate", __base__=Asked, options=(options, options()))

    async def generate(request: Request) -> Any:
        asked: Any = validated(schema, json_object(await request.body(), limits))
        begin = _begin(model, asked, dict(asked.options), limits)
        events = _events(model, begin, limits)
        headers = version_header(model)
        if asked.stream:
            return streamed(model, events, limits, headers=headers)
        text, facts = "", {}
        async with place(model, limits), aclosing(unless_gone(request.receive, events)) as coming:
            async for event in coming:
                text, facts = text + event.pop("text", ""), event
        return as_json({"text": text, **facts}, headers=headers)

    app.add_api_route(
        f"/v1/models/{model.name}/generate",
        generate,
        methods=["POST"],
        operation_id=f"generate_{model.name}",
        summary=f"Write with {model.name}",
        description=__doc__.partition("\n\nEach")[0] if __doc__ else "",
        tags=[model.name],
        response_model=None,
        responses={
            200: {"description": "The text, or events of its pieces.", "content": {"application/json": {}}},
            **{status: {"description": text} for status, text in ERRORS.items()},
        },
        openapi_extra=body_of(schema, {"messages": [_HELLO]} if task.answers.converses else {"prompt": "Once upon"}),
    )


_HELLO = {"role": "user", "content": "Hello."}


def body_of(schema: type[BaseModel], example: Any) -> dict[str, Any]:
    """What OpenAPI says of a body of JSON."""
    described = schema.model_json_schema(ref_template="#/$defs/{model}")
    return {
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": _inlined(described, described), "example": example}},
        }
    }


def _inlined(part: Any, whole: dict[str, Any]) -> Any:
    """A schema with what it refers to in its place: OpenAPI has other places for that."""
    if isinstance(part, list):
        return [_inlined(inner, whole) for inner in part]
    if not isinstance(part, dict):
        return part
    if "$ref" in part:
        return _inlined(whole["$defs"][part["$ref"].rpartition("/")[2]], whole)
    return {key: _inlined(inner, whole) for key, inner in part.items() if key != "$defs"}


def _begin(model: Model, asked: Any, options: dict[str, Any], limits: Limits) -> Begin:
    if (asked.prompt is None) == (asked.messages is None):
        raise Refused(422, "expected either prompt or messages")
    if asked.prompt is not None:
        return continuing(model, asked.prompt, options, limits)
    return replying(model, [turn.model_dump() for turn in asked.messages], options, limits)


def continuing(model: Model, prompt: str, options: dict[str, Any], limits: Limits) -> Begin:
    """How to write on from a prompt; Refused where that cannot be."""
    predictor = model.version.predictor
    if len(prompt) > limits.characters:
        raise Refused(413, f"expected at most {limits.characters:,} characters; the prompt has {len(prompt):,}")
    sampling = _checked(lambda: generating.sampling_of(predictor, options))
    return lambda: generating.continued(predictor, prompt, sampling)


def replying(model: Model, messages: list[Any], options: dict[str, Any], limits: Limits) -> Begin:
    """How to reply to a conversation; Refused where that cannot be."""
    predictor = model.version.predictor
    _checked(lambda: generating.check_converses(predictor))
    sampling = _checked(lambda: generating.sampling_of(predictor, options))
    turns = _checked(lambda: predictor.by_role.text.received(messages, most=limits.characters))
    if not turns:
        raise Refused(422, "expected at least one message")
    return lambda: generating.replied(predictor, turns, sampling)[0]


def _checked(made: Callable[[], Any]) -> Any:
    try:
        return made()
    except (ConfigError, DataError) as error:
        raise Refused(422, str(error)) from None


@asynccontextmanager
async def place(model: Model, limits: Limits) -> AsyncIterator[None]:
    """Be one of those whom a model writes for; Refused where it writes for too many."""
    try:
        async with asyncio.timeout(limits.queue_seconds):
            await model.writers.acquire()
    except TimeoutError:
        raise Refused(429, f"{model.name} writes {limits.writers} texts already", retry=1) from None
    try:
        yield
    finally:
        model.writers.release()


async def begun(model: Model, begin: Begin) -> Writing:
    """Begin to write, in the model's thread."""
    return await asyncio.get_running_loop().run_in_executor(model.thread, begin)


async def pieces(model: Model, writing: Writing, limits: Limits) -> AsyncGenerator[str, None]:
    """Write on, and yield text as it becomes certain."""
    loop, ends = asyncio.get_running_loop(), time.monotonic() + limits.writing_seconds
    try:
        while (piece := await loop.run_in_executor(model.thread, next, writing, None)) is not None:
            if piece:
                yield piece
            if time.monotonic() > ends:
                writing.ended = "time"
                return
    finally:
        model.count_tokens(writing.read, writing.tokens)


async def _events(model: Model, begin: Begin, limits: Limits) -> AsyncGenerator[dict[str, Any], None]:
    """Pieces as {"text": …}, and at the end how it ended."""
    writing = await begun(model, begin)
    async with aclosing(pieces(model, writing, limits)) as coming:
        async for piece in coming:
            yield {"text": piece}
    yield {"ended": writing.ended, "tokens": writing.tokens, "read": writing.read}


async def unless_gone(receive: Receive, events: AsyncGenerator[Any, None]) -> AsyncGenerator[Any, None]:
    """The same events; Refused once whoever asked has gone away."""
    watching = asyncio.ensure_future(receive())  # the body is read; what comes after it is the end
    try:
        async with aclosing(events):
            async for event in events:
                if watching.done():
                    raise Refused(400, "the connection ended before the answer did", close=True)
                yield event
    finally:
        watching.cancel()


def streamed(
    model: Model, events: AsyncGenerator[Any, None], limits: Limits, *, headers: dict[str, str], last: str = ""
) -> Any:
    """Answer with events as they come (server-sent events). last: what is said after them."""

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        sent = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
        kind = (b"content-type", b"text/event-stream; charset=utf-8")
        async with place(model, limits), aclosing(unless_gone(receive, events)) as coming:
            await send({"type": "http.response.start", "status": 200, "headers": [kind, *sent]})
            async for event in coming:
                await send({"type": "http.response.body", "body": _line(event), "more_body": True})
            await send({"type": "http.response.body", "body": last.encode()})

    return answer


def _line(event: Any) -> bytes:
    content = json.dumps(event, ensure_ascii=False, separators=(",", ":"))
    return b"data: " + content.encode("utf-8", "backslashreplace") + b"\n\n"
