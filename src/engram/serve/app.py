"""The application: its routes, the gate around them, and what they tell of models and of how the server fares."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import re
from base64 import b64encode
from collections.abc import AsyncIterator, Callable
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.routing import APIRoute
from jinja2 import Environment, PackageLoader
from starlette.exceptions import HTTPException

from engram import __version__
from engram.serve import completions, explaining, predicting, writing
from engram.serve.access import Access
from engram.serve.counts import Counts
from engram.serve.gate import FAILED, Exchange, Gate, Receive, Refused, Scope, Send
from engram.serve.limits import Limits
from engram.serve.log import RequestLog
from engram.serve.models import Model, Models
from engram.serve.predicting import as_json
from engram.serve.reading import options_model, schema_of

OFFERED: tuple[Callable[[FastAPI, Model, Limits], None], ...] = (predicting.add, explaining.add, writing.add)
"""What is offered of each model: functions that add its routes, where its task has what they need."""


class Server:
    """What all routes share. app: the whole as an ASGI application. log: keeps what was asked, if anybody wants it."""

    def __init__(
        self, models: Models, *, access: Access, limits: Limits, counts: Counts, log: RequestLog | None = None
    ) -> None:
        self.models, self.limits, self.counts, self.log = models, limits, counts, log
        self.routes = FastAPI(
            title="engram", version=__version__, lifespan=self._living, docs_url=None, redoc_url=None,
            description="Trained models, ready to answer.",
        )  # fmt: skip
        keep = log.most_bytes if log else 0
        self.app = Gate(self._answer, access=access, limits=limits, seen=self._seen, keep=keep)
        self._add_routes()
        for model in models:
            for add in OFFERED:
                add(self.routes, model, limits)
        completions.add(self.routes, models, limits)
        self._straight = {
            (method, route.path): route
            for route in self.routes.routes
            if isinstance(route, APIRoute)
            for method in route.methods or ()
        }

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand a request to its route. FastAPI describes routes, and answers where there is none.

        Its own way to a route takes longer than most of them do.
        """
        route = self._straight.get((scope.get("method", ""), scope.get("path", "")))
        if route is None:
            await self.routes(scope, receive, send)
        else:
            scope["route"] = route
            response = await route.endpoint(Request(scope, receive))
            await response(scope, receive, send)

    @contextlib.asynccontextmanager
    async def _living(self, app: FastAPI) -> AsyncIterator[None]:
        """While the server lives, promotions are taken up; at its end what waits is answered."""
        watching = asyncio.create_task(self.models.watch())
        try:
            yield
        finally:
            watching.cancel()
            self.models.close()

    def _seen(self, exchange: Exchange) -> None:
        """Count a request. Paths of nobody's are counted as one: whoever asks could invent any number of them."""
        path = getattr(exchange.scope.get("route"), "path", "(none)")
        self.counts.count("engram_requests_total", path=path, status=str(exchange.status or "closed"))
        if path.startswith("/v1/"):
            self.counts.observe("engram_request_seconds", exchange.seconds, path=path)
        if self.log:
            self.log.add(exchange)

    def _add_routes(self) -> None:
        routes = self.routes

        @routes.exception_handler(Refused)
        async def refused(request: Any, error: Refused) -> Refused:
            return error

        @routes.exception_handler(Exception)
        async def failed(request: Any, error: Exception) -> Refused:
            return FAILED  # the gate tells the log

        @routes.exception_handler(HTTPException)
        async def unknown(request: Any, error: HTTPException) -> Response:
            headers = dict(error.headers or {})
            return as_json({"error": str(error.detail)}, status=error.status_code, headers=headers)

        @routes.get("/healthz", tags=["server"], summary="Whether the server lives")
        async def healthz(request: Request) -> Response:
            return Response("ok\n", media_type="text/plain")

        @routes.get("/readyz", tags=["server"], summary="Whether it can answer (503 while it ends)")
        async def readyz(request: Request) -> Response:
            ready = not self.app.ending
            return Response("ready\n" if ready else "not ready\n", 200 if ready else 503, media_type="text/plain")

        @routes.get("/metrics", tags=["server"], summary="Numbers for Prometheus, drift among them")
        async def metrics(request: Request) -> Response:
            return Response(self.counts.text(gauges(self.models)), media_type="text/plain; version=0.0.4")

        @routes.get("/v1/models", tags=["models"], summary="What is served")
        async def models(request: Request) -> Response:
            return as_json({"object": "list", "data": [described(model) for model in self.models]})

        for model in self.models:
            routes.add_api_route(
                f"/v1/models/{model.name}", _about(model), tags=["models"], summary=f"What {model.name} is",
                operation_id=f"describe_{model.name}",
            )  # fmt: skip
        for path, name in (("/", "try.html"), ("/docs", "docs.html")):
            routes.add_api_route(path, _page(name), include_in_schema=False)


def _page(name: str) -> Callable[[Request], Any]:
    """A page that came with engram: it asks nothing of other hosts, and runs no script but its own."""
    content = Environment(loader=PackageLoader("engram.serve")).get_template(name).render()
    hashes = [
        "'sha256-" + b64encode(hashlib.sha256(script.encode()).digest()).decode() + "'"
        for script in re.findall(r"<script>(.*?)</script>", content, re.DOTALL)
    ]
    policy = (
        f"default-src 'none'; script-src {' '.join(hashes)}; style-src 'unsafe-inline'; connect-src 'self'; "
        "img-src 'self' data: blob:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )

    async def page(request: Request) -> Response:
        return Response(content, media_type="text/html", headers={"Content-Security-Policy": policy})

    return page


def _about(model: Model) -> Callable[[Request], Any]:
    async def about(request: Request) -> Response:
        return as_json(described(model))

    return about


def described(model: Model) -> dict[str, Any]:
    """What a client needs to know of a model: its task, what goes in and how, and the options of an answer.

    The first four are what OpenAI's clients expect. sampling: the options of writing, None where it does not write.
    """
    predictor = model.version.predictor
    inputs = {
        role: {"kind": entry.kind, "schema": entry.schema, "example": entry.example, **entry.details}
        for role, entry in model.version.entries.items()
    }
    task = predictor.task
    return {
        "id": model.name,
        "object": "model",
        "created": int((predictor.run / "run.json").stat().st_mtime),
        "owned_by": "engram",
        "task": task.name,
        "version": model.version.name,
        "promoted": model.version.promoted or None,
        "inputs": inputs,
        "options": options_model(task).model_json_schema(),
        "sampling": schema_of(task.answers.sampling, name="Sampling").model_json_schema()
        if task.answers.sampling
        else None,
        "converses": task.answers.converses,
        "explains": model.version.explains,
    }


def gauges(models: Models) -> dict[str, tuple[str, list[tuple[dict[str, str], float]]]]:
    """How things are now, by name: (help, [(labels, value)])."""
    found: dict[str, tuple[str, list[tuple[dict[str, str], float]]]] = {
        "engram_model": ("1 for the version that is served.", []),
        "engram_queue_items": ("Items that wait for a model.", []),
        "engram_answers_total": ("Answers that were given, by the version served now.", []),
        "engram_unreadable_total": ("Inputs that could not be read.", []),
        "engram_unfamiliar_total": ("Inputs that the model called unfamiliar.", []),
        "engram_unfamiliar_ratio": (
            "Share of unfamiliar inputs: of the last 1,000 answers, and on validation rows.",
            [],
        ),
        "engram_class_ratio": ("Share of each class: among the last 1,000 answers, and on validation rows.", []),
        "engram_class_drift": ("Distance of the two: 0 the same, 1 nothing in common (total variation).", []),
    }

    def add(name: str, value: float | None, **labels: str) -> None:
        if value is not None:
            found[name][1].append((labels, value))

    for model in models:
        drift, name = model.version.drift, model.name
        shares, unfamiliar = drift.recent()
        add("engram_model", 1, model=name, version=model.version.name)
        add("engram_queue_items", model.batcher.waiting, model=name)
        add("engram_answers_total", drift.answers, model=name)
        add("engram_unreadable_total", drift.unreadable, model=name)
        add("engram_unfamiliar_total", drift.unfamiliar, model=name)
        add("engram_unfamiliar_ratio", unfamiliar, model=name, of="recent")
        add("engram_unfamiliar_ratio", drift.expected_unfamiliar, model=name, of="validation")
        for of, ratios in (("recent", shares), ("validation", drift.expected)):
            for label, ratio in ratios.items():
                add("engram_class_ratio", ratio, model=name, label=label, of=of)
        if drift.expected and drift.answers:
            add("engram_class_drift", drift.distance(shares), model=name)
    return found
