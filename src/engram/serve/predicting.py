"""`POST /v1/models/NAME/predict`: the answer is what `Predictor.predict` gives for the same items."""

from __future__ import annotations

import asyncio
import json
import re
from functools import partial
from typing import Any

from fastapi import FastAPI, Request, Response
from pydantic import BaseModel

from engram.serve.batching import Full
from engram.serve.gate import Refused
from engram.serve.limits import Limits
from engram.serve.models import Model
from engram.serve.reading import Asked, asked, options_model

INLINE_BYTES = 64 << 10
"""Larger bodies are parsed in a thread, so that others are answered meanwhile."""

_NOT_PLAIN = re.compile(r"[^!-~]")  # names of folders may hold what a header may not

_written = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode

ERRORS = {
    400: "The body is no JSON, or no form.",
    401: "A token is needed.",
    413: "The body, or the number of inputs, is beyond the limits.",
    415: "The body is neither JSON nor a form.",
    422: "The one input cannot be read (the answer says why), or the body is not as described.",
    429: "Too many wait already; Retry-After says when to come again.",
    503: "It took too long, or the server is about to end; Retry-After says when to come again.",
}


def add(app: FastAPI, model: Model, limits: Limits) -> None:
    """Offer a model's answers under its name."""
    task = model.version.predictor.task
    schema = options_model(task)

    async def predict(request: Request) -> Response:
        refuse_where_full(model)  # before the work of parsing is done in vain
        found = await read(request, model, limits, schema)
        answers = found.whole(await answered(model, found, limits) if found.items else [])
        unread = found.one and "error" in answers[0]
        return as_json(
            answers[0] if found.one else answers,
            status=422 if unread else 200,
            headers=version_header(model),
        )

    app.add_api_route(
        f"/v1/models/{model.name}/predict",
        predict,
        methods=["POST"],
        operation_id=f"predict_{model.name}",
        summary=f"Answer with {model.name}",
        description=(type(task).__doc__ or "").partition("\n")[0],
        tags=[model.name],
        responses={
            200: {"description": "One answer, or a list of them in order.", "content": {"application/json": {}}},
            **{status: {"description": text} for status, text in ERRORS.items()},
        },
        openapi_extra={"requestBody": {"required": True, "content": request_schema(model)}},
    )


async def read(request: Request, model: Model, limits: Limits, schema: type[BaseModel]) -> Asked:
    """What a request asks of a model; Refused where it says nothing that can be read."""
    body, kind = await request.body(), request.headers.get("content-type", "")
    reading = partial(asked, body, kind, model.version, limits, schema)
    return await asyncio.to_thread(reading) if len(body) > INLINE_BYTES else reading()


def version_header(model: Model) -> dict[str, str]:
    """Says which run answers."""
    return {"X-Engram-Version": _NOT_PLAIN.sub("?", model.version.name)}


def refuse_where_full(model: Model, number: int = 1) -> None:
    """Refused where so many more items would have to wait too long."""
    try:
        model.batcher.check_room(number)
    except Full as full:
        raise Refused(429, f"too many wait for {model.name}", retry=full.seconds) from None


async def answered(model: Model, found: Asked, limits: Limits) -> list[dict[str, Any]]:
    """Wait for a model's answers; Refused where that would take, or took, too long."""
    refuse_where_full(model, len(found.items))
    try:
        async with asyncio.timeout(limits.request_seconds):
            return await model.batcher.answer(found.items, found.options, found.names)
    except TimeoutError:
        raise Refused(503, f"{model.name} took longer than {limits.request_seconds:g} seconds", retry=1) from None


def as_json(value: Any, *, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """Return a value as JSON; what is no text (a lone surrogate) is written as its escape."""
    body = _written(value).encode("utf-8", "backslashreplace")
    return Response(body, status_code=status, headers=headers, media_type="application/json")


def request_schema(model: Model) -> dict[str, Any]:
    """What the body may be, by content type, as OpenAPI says it."""
    predictor = model.version.predictor
    given = model.version.entries
    options = options_model(predictor.task).model_json_schema()
    by_role = {
        "type": "object",
        "properties": {role: entry.schema for role, entry in given.items()},
        "required": list(given),
        "additionalProperties": False,
    }
    example: Any = {role: entry.example for role, entry in given.items()}
    value: dict[str, Any] = by_role
    if len(given) == 1:
        value, example = {"anyOf": [next(iter(given.values())).schema, by_role]}, next(iter(example.values()))
    shared = {"options": options}
    one = {"properties": {"input": value, **shared}, "required": ["input"]}
    many = {
        "properties": {"inputs": {"type": "array", "items": value, "minItems": 1}, **shared},
        "required": ["inputs"],
    }
    closed = {"type": "object", "additionalProperties": False}
    files = {role: {"type": "array", "items": {"type": "string", "format": "binary"}} for role in given}
    form = {"type": "object", "properties": {**files, **options.get("properties", {})}, "required": list(given)}
    return {
        "application/json": {
            "schema": {"oneOf": [{**one, **closed}, {**many, **closed}]},
            "example": {"input": example},
        },
        "multipart/form-data": {"schema": form},
    }
