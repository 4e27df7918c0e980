"""Templates to HTML: everything that is not markup of ours is escaped, and a name that is not there is a fault."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

import scalix
from scalix.pages import charts, formats
from scalix.pages.assets import asset_path
from scalix.pages.finding import path_to

FOLDER = Path(__file__).parent / "templates"


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a table: the field of its rows, its head, and its kind, as `formats.shown` has it.

    `to` is the path that a cell leads to, such as `/ui/users/{user}`, filled in with the row's field `by`, and with the
    field `also` as a parameter of the same name. A badge has the tone that the row's field `tone` says, if that is
    named; `css` is a class of its cells.
    """

    name: str
    label: str
    kind: str = "text"
    to: str = ""
    by: str = ""
    also: str = ""
    tone: str = ""
    css: str = ""

    def leads_to(self, row: Mapping[str, Any]) -> str:
        """The path and parameter that a row's cell leads to."""
        return path_to(self.to, str(row[self.by or self.name]), **({self.also: row[self.also]} if self.also else {}))

    @property
    def is_figure(self) -> bool:
        """Whether its cells stand to the right, one under the other."""
        return self.kind in ("number", "money", "percent", "duration", "size")

    @property
    def classes(self) -> str:
        """Those of its cells."""
        return "figure" if self.is_figure else self.css


def filled(columns: Sequence[Column], rows: Sequence[Any]) -> list[Column]:
    """The columns in which any row has something, and the first in any case."""
    return [
        one
        for place, one in enumerate(columns)
        if not place or any(_at(row, one.name) not in (None, "") for row in rows)
    ]


def _at(row: Any, name: str) -> Any:
    return row[name] if isinstance(row, Mapping) else getattr(row, name)


@cache
def _environment() -> Environment:
    """One for the process, which compiles each template once."""
    environment = Environment(
        loader=FileSystemLoader(FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    environment.filters.update(
        formats.KINDS,
        relative=formats.relative,
        shown=formats.shown,
    )
    environment.globals.update(
        asset=asset_path,
        column=Column,
        filled=filled,
        path_to=path_to,
        chart=charts,
        version=scalix.__version__,
    )
    return environment


class Renderer:
    """Renders templates, or a block of one."""

    def __init__(self) -> None:
        self._environment = _environment()

    def page(self, template: str, context: Mapping[str, Any]) -> bytes:
        """A whole page."""
        return self._environment.get_template(template).render(self._filled(context)).encode()

    def part(self, template: str, block: str, context: Mapping[str, Any]) -> bytes | None:
        """One block of a page, for figures that are fetched again; `None` where the template has none of this name."""
        found = self._environment.get_template(template)
        if block not in found.blocks:
            return None
        return "".join(found.blocks[block](found.new_context(self._filled(context)))).encode()

    def _filled(self, context: Mapping[str, Any]) -> dict[str, Any]:
        """What a template is given, with the macros of `parts.html` as `ui`."""
        given = dict(context)
        given["ui"] = self._environment.get_template("parts.html").make_module(given)
        return given
