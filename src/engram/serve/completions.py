"""`/v1/completions` and `/v1/chat/completions`: what writes, asked as clients of OpenAI's API ask it.

https://platform.openai.com/docs/api-reference/chat. What a parameter means here is what it means there; those that
would change the answer and are not known here are refused unless they say nothing, others are left alone.
"""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import Any, Literal
from uuid import uuid4

from fastapi import FastAPI, Request
from pydantic import BaseModel, ConfigDict, Field

from engram.serve.gate import Receive, Refused, Scope, Send
from engram.serve.limits import Limits
from engram.serve.models import Model, Models
from engram.serve.predicting import as_json, version_header
from engram.serve.reading import json_object, validated
from engram.serve.writing import Begin, begun, body_of, continuing, pieces, place, replying, streamed, unless_gone

IGNORED = {
    "user", "metadata", "store", "service_tier", "safety_identifier", "prompt_cache_key", "parallel_tool_calls",
    "reasoning_effort", "verbosity", "prompt_cache_retention",
}  # fmt: skip
"""Parameters that do not change what is written by such a model."""

NEUTRAL: dict[str, tuple[Any, ...]] = {
    "n": (1,), "best_of": (1,), "echo": (False,), "suffix": ("",), "logprobs": (False,), "top_logprobs": (0,),
    "logit_bias": ({},), "frequency_penalty": (0,), "presence_penalty": (0,), "tools": ([],),
    "tool_choice": ("none", "auto"), "functions": ([],), "function_call": ("none", "auto"),
    "response_format": ({"type": "text"},), "modalities": (["text"],), "audio": (), "prediction": (),
    "web_search_options": (),
}  # fmt: skip
"""Parameters that are taken at these values alone, where they change nothing (and at null)."""

MOST_STOPS, LONGEST_STOP = 16, 200
FINISHED = {"end": "stop", "stop": "stop", "length": "length", "time": "length"}
ROLES = {"developer": "system"}


class StreamOptions(BaseModel):
    """include_usage: a last event says how many tokens there were."""

    include_usage: bool = False


class Asked(BaseModel):
    """What both ways of asking share. max_completion_tokens is the newer name."""

    model_config = ConfigDict(extra="forbid")
    model: str
    stream: bool | None = False
    stream_options: StreamOptions | None = None
    temperature: float | None = Field(default=None, ge=0, le=2)
    top_p: float | None = Field(default=None, gt=0, le=1)
    top_k: int | None = Field(default=None, ge=0, le=2**31)
    seed: int | None = Field(default=None, ge=-(2**63), lt=2**63)
    stop: str | list[str] | None = None
    max_tokens: int | None = Field(default=None, ge=1, le=2**31)

    def sampling(self) -> dict[str, Any]:
        """The options of writing that were given; others are the model's own."""
        stop = [self.stop] if isinstance(self.stop, str) else self.stop or []
        if len(stop) > MOST_STOPS or any(not 0 < len(text) <= LONGEST_STOP for text in stop):
            raise Refused(400, f"expected at most {MOST_STOPS} texts at stop, of 1 to {LONGEST_STOP} characters")
        given = {name: getattr(self, name) for name in ("temperature", "top_p", "top_k", "seed", "max_tokens")}
        return {name: value for name, value in given.items() if value is not None} | {"stop": tuple(stop)}


class Completion(Asked):
    """A prompt, or several."""

    prompt: str | list[str] = ""
    max_tokens: int | None = Field(default=16, ge=1, le=2**31)


class Piece(BaseModel):
    """A part of a message."""

    type: Literal["text"]
    text: str


class Message(BaseModel):
    """One turn."""

    role: str
    content: str | list[Piece]
    name: str | None = None

    def turn(self) -> dict[str, str]:
        """The turn as conversations have it here."""
        text = self.content if isinstance(self.content, str) else "".join(piece.text for piece in self.content)
        return {"role": ROLES.get(self.role, self.role), "content": text}


class Chat(Asked):
    """A conversation so far."""

    messages: list[Message] = Field(min_length=1)
    max_completion_tokens: int | None = Field(default=None, ge=1, le=2**31)

    def sampling(self) -> dict[str, Any]:
        """With the newer name of the most tokens."""
        newer = {} if self.max_completion_tokens is None else {"max_tokens": self.max_completion_tokens}
        return super().sampling() | newer


class InTheirWords(Refused):
    """A refusal as OpenAI's clients read it."""

    def content(self) -> dict[str, Any]:
        """{"error": {"message", …}}."""
        kind = "invalid_request_error" if self.status < 429 else "server_error"
        code = {404: "model_not_found", 429: "rate_limit_exceeded"}.get(self.status)
        return {"error": {"message": self.message, "type": kind, "param": None, "code": code}}


def add(app: FastAPI, models: Models, limits: Limits) -> None:
    """Offer both to whoever writes; nothing where no model does."""
    writers = [model for model in models if model.version.predictor.task.answers.sampling]
    if not writers:
        return

    async def complete(request: Request) -> Any:
        asked, model = await _asked(request, Completion, models, limits)
        prompts = [asked.prompt] if isinstance(asked.prompt, str) else asked.prompt
        if not 1 <= len(prompts) <= limits.items:
            raise Refused(400, f"expected 1 to {limits.items} prompts; got {len(prompts)}")
        begins = [continuing(model, prompt, asked.sampling(), limits) for prompt in prompts]
        return await _answer(request, model, asked, begins, _Completed("cmpl-", "text_completion"), limits)

    async def chat(request: Request) -> Any:
        asked, model = await _asked(request, Chat, models, limits)
        begin = replying(model, [message.turn() for message in asked.messages], asked.sampling(), limits)
        return await _answer(request, model, asked, [begin], _Said("chatcmpl-", "chat.completion"), limits)

    for path, endpoint, schema, example in (
        ("/v1/completions", complete, Completion, {"prompt": "Once upon"}),
        ("/v1/chat/completions", chat, Chat, {"messages": [{"role": "user", "content": "Hello."}]}),
    ):
        app.add_api_route(
            path, in_their_words(endpoint), methods=["POST"], response_model=None, tags=["OpenAI's API"],
            operation_id=endpoint.__name__, summary="As OpenAI's API",
            openapi_extra=body_of(schema, {"model": writers[0].name, **example}),
        )  # fmt: skip


async def _asked(request: Request, schema: type[BaseModel], models: Models, limits: Limits) -> tuple[Any, Model]:
    """What is asked, and of which model."""
    given = {name: value for name, value in json_object(await request.body(), limits).items() if name not in IGNORED}
    for name in NEUTRAL.keys() & given.keys():
        if (value := given.pop(name)) is not None and value not in NEUTRAL[name]:
            raise Refused(400, f"{name} is not supported here")
    asked: Any = validated(schema, given)
    found = next((model for model in models if model.name == asked.model), None)
    if found is None:
        raise Refused(404, f"there is no model {asked.model!r}; there are: {', '.join(model.name for model in models)}")
    if found.version.predictor.task.answers.sampling is None:
        raise Refused(400, f"{asked.model} does not write; ask it at /v1/models/{asked.model}/predict")
    return asked, found


class _Completed:
    """The shape of completions. key: of what is written, within a choice."""

    def __init__(self, prefix: str, kind: str) -> None:
        self.facts = {"id": prefix + uuid4().hex, "object": kind, "created": int(time.time())}
        self.chunk = {**self.facts, "object": kind}

    def opening(self) -> list[dict[str, Any]]:
        """What comes before the first piece."""
        return []

    def piece(self, text: str) -> dict[str, Any]:
        """A piece of a choice."""
        return {"text": text}

    def whole(self, text: str) -> dict[str, Any]:
        """All of a choice."""
        return {"text": text}

    def end(self) -> dict[str, Any]:
        """What a choice holds that only says how it ended."""
        return {"text": ""}


class _Said(_Completed):
    """The shape of chats."""

    def __init__(self, prefix: str, kind: str) -> None:
        super().__init__(prefix, kind)
        self.chunk = {**self.facts, "object": kind + ".chunk"}

    def opening(self) -> list[dict[str, Any]]:
        """Who speaks."""
        return [{"delta": {"role": "assistant", "content": ""}}]

    def piece(self, text: str) -> dict[str, Any]:
        """A piece of the reply."""
        return {"delta": {"content": text}}

    def whole(self, text: str) -> dict[str, Any]:
        """The reply."""
        return {"message": {"role": "assistant", "content": text, "refusal": None}}

    def end(self) -> dict[str, Any]:
        """Nothing more."""
        return {"delta": {}}


async def _answer(
    request: Request, model: Model, asked: Any, begins: list[Begin], shape: _Completed, limits: Limits
) -> Any:
    headers = version_header(model)
    if asked.stream:
        usage = bool(asked.stream_options and asked.stream_options.include_usage)
        events = _events(model, begins, shape, limits, usage=usage)
        return streamed(model, events, limits, headers=headers, last="data: [DONE]\n\n")
    choices, read, tokens = [], 0, 0
    async with place(model, limits):
        for index, begin in enumerate(begins):
            writing = await begun(model, begin)
            async with aclosing(unless_gone(request.receive, pieces(model, writing, limits))) as coming:
                text = "".join([piece async for piece in coming])
            choices.append(_choice(index, shape.whole(text), FINISHED.get(writing.ended)))
            read, tokens = read + writing.read, tokens + writing.tokens
    answer = {**shape.facts, "model": model.name, "choices": choices, "usage": _usage(read, tokens)}
    return as_json(answer, headers=headers)


async def _events(
    model: Model, begins: list[Begin], shape: _Completed, limits: Limits, *, usage: bool
) -> AsyncGenerator[dict[str, Any], None]:
    read, tokens = 0, 0
    facts = {**shape.chunk, "model": model.name}
    for index, begin in enumerate(begins):
        for said in shape.opening():
            yield {**facts, "choices": [_choice(index, said, None)]}
        writing = await begun(model, begin)
        async with aclosing(pieces(model, writing, limits)) as coming:
            async for piece in coming:
                yield {**facts, "choices": [_choice(index, shape.piece(piece), None)]}
        yield {**facts, "choices": [_choice(index, shape.end(), FINISHED.get(writing.ended))]}
        read, tokens = read + writing.read, tokens + writing.tokens
    if usage:
        yield {**facts, "choices": [], "usage": _usage(read, tokens)}


def _choice(index: int, said: dict[str, Any], finished: str | None) -> dict[str, Any]:
    return {"index": index, **said, "logprobs": None, "finish_reason": finished}


def _usage(read: int, written: int) -> dict[str, int]:
    return {"prompt_tokens": read, "completion_tokens": written, "total_tokens": read + written}


def in_their_words(endpoint: Callable[[Request], Any]) -> Callable[[Request], Any]:
    """Let an endpoint refuse as OpenAI's API does, before it answers and while it begins to."""

    def theirs(refused: Refused) -> Refused:
        status = 400 if refused.status == 422 else refused.status
        return InTheirWords(status, refused.message, retry=refused.retry, close=refused.close)

    async def told(request: Request) -> Any:
        try:
            answer = await endpoint(request)
        except Refused as refused:
            raise theirs(refused) from None

        async def answering(scope: Scope, receive: Receive, send: Send) -> None:
            try:
                await answer(scope, receive, send)
            except Refused as refused:
                raise theirs(refused) from None

        return answering

    return told
