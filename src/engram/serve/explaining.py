"""`POST /v1/models/NAME/explain`: one answer, and what it hangs on, part by part of the input."""

from __future__ import annotations

import asyncio
from typing import Any

from fastapi import FastAPI, Request, Response

from engram.core.errors import ConfigError, DataError
from engram.explain.question import asked as question
from engram.explain.why import why
from engram.serve.gate import Refused
from engram.serve.limits import Limits
from engram.serve.models import Model
from engram.serve.predicting import ERRORS, as_json, read, refuse_where_full, request_schema, version_header
from engram.serve.reading import options_model


def add(app: FastAPI, model: Model, limits: Limits) -> None:
    """Offer reasons under a model's name, where its answers have any."""
    if not model.version.explains:
        return
    schema = options_model(model.version.predictor.task)

    async def explain(request: Request) -> Response:
        refuse_where_full(model)
        found = await read(request, model, limits, schema)
        if not found.one:
            raise Refused(422, "expected one input to explain, as input")
        if found.errors:
            return as_json(found.errors[0], status=422)
        reasoning = asyncio.get_running_loop().run_in_executor(
            model.thread, _reasoned, model, found.items[0], found.options, found.names[0]
        )
        try:
            async with asyncio.timeout(limits.request_seconds):
                return as_json(await reasoning, headers=version_header(model))
        except TimeoutError:
            raise Refused(503, f"{model.name} took longer than {limits.request_seconds:g} seconds", retry=1) from None

    app.add_api_route(
        f"/v1/models/{model.name}/explain",
        explain,
        methods=["POST"],
        operation_id=f"explain_{model.name}",
        summary=f"Answer with {model.name}, and say why",
        description="One input. Beside the answer, what each part of the input does to it.",
        tags=[model.name],
        responses={
            200: {"description": "The answer, and what it hangs on.", "content": {"application/json": {}}},
            **{status: {"description": text} for status, text in ERRORS.items()},
        },
        openapi_extra={"requestBody": {"required": True, "content": request_schema(model)}},
    )


def _reasoned(model: Model, item: Any, options: Any, name: str) -> dict[str, Any]:
    """The answer and its reasons; in the model's thread."""
    predictor = model.version.predictor
    (answer,) = predictor.answers([item], options, names=[name])
    if "error" in answer:
        raise Refused(422, answer["error"])
    try:
        return answer | why(question(predictor, item)).record()
    except (ConfigError, DataError) as error:
        raise Refused(422, str(error)) from None
