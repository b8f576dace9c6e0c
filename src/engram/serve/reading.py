"""From a request's body to items: JSON or multipart, within limits, and never a path on this machine.

    {"input": VALUE}  or  {"inputs": [VALUE, …]},  with "options": {…} beside it where wanted

A VALUE is that of the task's one input, or an object of values by role. In multipart forms each part named by a role
(or `file`) is a value, and other fields are options; several parts make several items.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, get_type_hints

from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model

from engram.core import strict
from engram.core.errors import DataError
from engram.core.task import Task
from engram.predict.predictor import name_of
from engram.serve import forms
from engram.serve.gate import Refused
from engram.serve.limits import Limits
from engram.serve.models import Served

ANY_ROLE = ("file", "files", "input")
"""Names of parts that stand for the one input of a task, beside its role's own name."""


@dataclass
class Asked:
    """What a request asks: raw items with their names, the task's options, and whether one item was meant.

    errors: number of an item -> why it cannot be read; it is not among `items`.
    """

    options: Any
    one: bool
    items: list[Any] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    errors: dict[int, dict[str, str]] = field(default_factory=dict)

    def whole(self, answers: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Put the errors in their places among the answers to the others."""
        left = iter(answers)
        return [self.errors.get(number) or next(left) for number in range(len(answers) + len(self.errors))]


def options_model(task: Task) -> type[BaseModel]:
    """The task's options as a schema."""
    return schema_of(task.options, name=f"{type(task).__name__}Options")


def schema_of(kind: type, *, name: str) -> type[BaseModel]:
    """A dataclass of options as a schema: names, kinds, defaults and what it says of each."""
    hints = get_type_hints(kind)
    fields: dict[str, Any] = {}
    for option in dataclasses.fields(kind):
        help = option.metadata.get("help")
        if option.default_factory is not dataclasses.MISSING:
            default = Field(default_factory=option.default_factory, description=help)
        else:
            default = Field(default=... if option.default is dataclasses.MISSING else option.default, description=help)
        fields[option.name] = (hints[option.name], default)
    return create_model(name, __config__=ConfigDict(extra="forbid"), **fields)


def asked(body: bytes, content_type: str, version: Served, limits: Limits, schema: type[BaseModel]) -> Asked:
    """Read a request; Refused says what is wrong with it as a whole."""
    task = version.predictor.task
    kind = content_type.partition(";")[0].strip().lower()
    if kind == "application/json":
        values, files, options, one = _of_json(body, limits)
    elif kind == "multipart/form-data":
        values, files, options, one = _of_form(body, content_type, list(task.inputs))
    else:
        raise Refused(415, f"expected application/json or multipart/form-data; got {kind or 'no content type'}")
    if not 1 <= len(values) <= limits.items:
        raise Refused(413 if values else 422, f"expected 1 to {limits.items} inputs; got {len(values)}")
    found = Asked(_options(task, schema, options), one)
    for number, value in enumerate(values):
        _add(found, number, value, files[number], version, limits)
    return found


def _of_json(body: bytes, limits: Limits) -> tuple[list[Any], list[str], Any, bool]:
    """(values, their files' names, options, whether one was meant)."""
    content = json_object(body, limits)
    if unknown := set(content) - {"input", "inputs", "options"}:
        raise Refused(422, f"expected input or inputs, and options; got {sorted(unknown)[0]!r}")
    if ("input" in content) == ("inputs" in content):
        raise Refused(422, "expected either input (one) or inputs (a list)")
    one = "input" in content
    values = [content["input"]] if one else content["inputs"]
    if not isinstance(values, list):
        raise Refused(422, f"expected a list of inputs; got {type(values).__name__}")
    return values, [""] * len(values), content.get("options", {}), one


def _of_form(body: bytes, content_type: str, roles: list[str]) -> tuple[list[Any], list[str], Any, bool]:
    try:
        parts = forms.parts(body, content_type)
    except ValueError as error:
        raise Refused(400, f"expected a form: {error}") from None
    by_role: dict[str, list[tuple[Any, str]]] = {role: [] for role in roles}
    options: dict[str, Any] = {}
    for part in parts:
        role = roles[0] if len(roles) == 1 and part.name in ANY_ROLE else part.name
        value = part.content if part.filename is not None else part.content.decode("utf-8", "replace")
        if role in by_role:
            by_role[role].append((value, part.filename or ""))
        else:
            options[part.name] = value
    if len({len(values) for values in by_role.values()}) > 1:
        raise Refused(422, f"expected as many parts for each of {', '.join(roles)}")
    rows = list(zip(*by_role.values(), strict=True))
    values = [row[0][0] if len(roles) == 1 else {r: v for r, (v, _) in zip(roles, row, strict=True)} for row in rows]
    return values, [next((name for _, name in row if name), "") for row in rows], options, len(rows) == 1


def _options(task: Task, schema: type[BaseModel], given: Any) -> Any:
    return task.options(**dict(validated(schema, given, at="options"))) if given != {} else task.options()


def validated(schema: type[BaseModel], given: Any, *, at: str = "") -> BaseModel:
    """Check what was given against a schema; Refused says what first does not fit. at: what it is a part of."""
    try:
        return schema.model_validate(given)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        place = ".".join((*([at] if at else []), *map(str, first["loc"])))
        known = ", ".join(schema.model_fields) or "none"
        raise Refused(422, f"{place}: {first['msg']}; there are: {known}") from None


def json_object(body: bytes, limits: Limits) -> dict[str, Any]:
    """Read a body that is to be an object of JSON; Refused where it is none."""
    try:
        content = strict.parse(body, most_parts=limits.json_values)
    except ValueError as error:
        raise Refused(400, f"expected JSON: {error}") from None
    if not isinstance(content, dict):
        raise Refused(422, f"expected an object of JSON; got {type(content).__name__}")
    return content


def _add(found: Asked, number: int, value: Any, filename: str, version: Served, limits: Limits) -> None:
    """Take an item as its features receive it, or say why it cannot be taken."""
    try:
        item = _received(value, version, limits)
    except (DataError, OSError) as error:
        found.errors[number] = {"input": filename or f"{type(value).__name__}[{number}]", "error": str(error)}
        return
    found.items.append(item)
    found.names.append(filename or name_of(item, number))


def _received(value: Any, version: Served, limits: Limits) -> Any:
    roles = list(version.entries)
    if len(roles) == 1 and not (isinstance(value, Mapping) and set(value) == set(roles)):
        return _one(value, roles[0], version, limits)
    if not isinstance(value, Mapping) or set(value) != set(roles):
        got = (", ".join(value) or "none") if isinstance(value, Mapping) else type(value).__name__
        raise DataError(f"expected an object with values for {', '.join(roles)}; got {got}")
    return {role: _one(value[role], role, version, limits) for role in roles}


def _one(value: Any, role: str, version: Served, limits: Limits) -> Any:
    return version.predictor.features[role].received(value, most=limits.of(version.entries[role].unit))
