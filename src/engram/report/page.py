"""What a page is made of: sections of a few kinds of blocks, and the template that sets them.

Texts in blocks are plain and are escaped by the template; `body` is markup that `engram.report.chart` made.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from markupsafe import Markup


@dataclass
class Text:
    """A paragraph. tone: "", "lead", "note" or "warning"."""

    kind: ClassVar[str] = "text"
    text: str
    tone: str = ""


@dataclass
class Heading:
    """A smaller heading within a section."""

    kind: ClassVar[str] = "heading"
    text: str


@dataclass
class Figure:
    """A drawing and the sentence that says what to see in it."""

    kind: ClassVar[str] = "figure"
    body: Markup
    caption: str


@dataclass
class Row:
    """Figures side by side where there is room."""

    kind: ClassVar[str] = "row"
    figures: Sequence[Figure]


@dataclass
class Tile:
    """One picture or text with what is said of it. uri: a data URI. more: shown when the cursor rests on it."""

    uri: str
    title: str = ""
    detail: str = ""
    more: str = ""
    tone: str = ""
    text: str = ""


@dataclass
class Gallery:
    """Pictures or texts of one kind. size: "small", "medium" or "wide" tiles, or "texts"."""

    kind: ClassVar[str] = "gallery"
    tiles: Sequence[Tile]
    caption: str
    size: str = "medium"


@dataclass
class Table:
    """A table. Cells are texts or markup; columns named in `numeric` are set to the right. folded: shown on demand."""

    kind: ClassVar[str] = "table"
    head: Sequence[str]
    rows: Sequence[Sequence[Any]]
    caption: str = ""
    numeric: Sequence[int] = ()
    folded: str = ""


@dataclass
class Step:
    """One step of a story: its title, a plain sentence, and pictures or a drawing."""

    kind: ClassVar[str] = "step"
    number: int
    title: str
    text: str
    tiles: Sequence[Tile] = ()
    body: Markup | None = None


@dataclass
class Listing:
    """Short facts, each with its severity: "info", "warning" or "error"."""

    kind: ClassVar[str] = "listing"
    items: Sequence[tuple[str, str, str]]


@dataclass
class Code:
    """Commands or a program, as typed."""

    kind: ClassVar[str] = "code"
    text: str
    name: str = ""


@dataclass
class Section:
    """A part of the page. key: its anchor."""

    key: str
    title: str
    blocks: list[Any] = field(default_factory=list)


def render(
    *, title: str, subtitle: str, sections: Sequence[Section], footer: str, what: str = "report of a training"
) -> str:
    """Return the page as HTML: one file that asks nothing of the network. what: it is, in a few words."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("engram.report", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    template = environment.get_template("report.html.j2")
    return template.render(title=title, subtitle=subtitle, sections=sections, footer=footer, what=what)
