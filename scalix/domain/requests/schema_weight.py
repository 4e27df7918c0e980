"""How large a request's schemas become once the references in them are replaced by what they name.

LiteLLM does that for providers that know no references (`unpack_defs` and its like), without a bound: two references in
each of twenty definitions to the next one are a million copies of the last. It also copies the names of all
definitions for each object on its way, and the title and description of an `anyOf` into each of its branches. So it is
weighed before it begins: counted as it would be done, without copying anything, and only up to the bound.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from dataclasses import field as made_by
from typing import Any

from scalix.domain.errors import BadRequest

MOST_VALUES = 100_000  # that replace references, in all schemas of a request: some 0.1 s of LiteLLM's time
MOST_CHARACTERS = 4 * 1024 * 1024  # in them
MOST_DEPTH = 64  # of references within what references stand for
MOST_PATTERN_CHARACTERS = 64 * 1024  # of all patterns, which LiteLLM has Python read: some 0.2 s
MOST_LOOKUPS = 10_000_000  # values of a schema times its definitions: some 0.1 s
_LONGEST_PATH = 200

_SCHEMAS = frozenset(
    {
        *("parameters", "input_schema", "inputSchema", "schema", "json_schema", "response_schema", "output_schema"),
        *("guided_json", "json"),
    }
)
_DEFINITIONS = frozenset({"$defs", "definitions", "schemas"})
# What a program or a person wrote: what looks like a schema there is text.
_CONVERSATION = frozenset({"messages", "input", "prompt", "system", "instructions", "prediction", "metadata"})


def check_schemas(body: dict[str, Any]) -> None:
    """Raise `BadRequest` for the first schema that, with those before it, would become too large. Never raises anything
    else."""
    weight = _Weight()
    for path, schema in _schemas(body):
        if not weight.add(schema):
            message = (
                f"The schema in '{path}' becomes too large once its references are replaced by what they name, or its "
                "patterns are too long. Refer to fewer or smaller definitions, and shorten the patterns."
            )
            raise BadRequest(message, param=path)


def _schemas(body: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """The outermost schemas, each with its path."""
    # In one object, so that a field that is a schema itself is one too.
    stack: list[tuple[str, Any]] = [("", {name: body[name] for name in reversed(body) if name not in _CONVERSATION})]
    while stack:
        path, node = stack.pop()
        if isinstance(node, list):
            stack.extend(
                (f"{path}[{index}]"[:_LONGEST_PATH], node[index])
                for index in range(len(node) - 1, -1, -1)
                if isinstance(node[index], dict | list)
            )
            continue
        for name, item in node.items():
            inner = f"{path}.{name[:_LONGEST_PATH]}".removeprefix(".")[:_LONGEST_PATH]
            if isinstance(item, dict) and name in _SCHEMAS:
                yield inner, item
            elif isinstance(item, dict | list):
                stack.append((inner, item))


@dataclass(slots=True)
class _Part:
    """What stands in a schema or in one definition, references as they are."""

    values: int = 0
    characters: int = 0
    pattern_characters: int = 0
    spread: int = 0  # characters that come on top, by titles and descriptions which go into branches
    references: list[str] = made_by(default_factory=list)
    definitions: dict[str, list[Any]] = made_by(default_factory=dict)


class _Weight:
    """What the schemas of one request have come to."""

    def __init__(self) -> None:
        self._values = self._characters = self._pattern_characters = self._lookups = 0

    def add(self, schema: dict[str, Any]) -> bool:
        """Whether there is room for one more."""
        # What is defined at the top is taken out, not replaced where it stands.
        whole = _part_of([{name: item for name, item in schema.items() if name != "$defs"}])
        at_the_top = _part_of([{"$defs": schema.get("$defs")}])
        definitions = at_the_top.definitions
        for defined, meanings in whole.definitions.items():
            definitions.setdefault(defined, []).extend(meanings)
        self._characters += whole.spread
        self._pattern_characters += whole.pattern_characters + at_the_top.pattern_characters
        before = self._values
        parts: dict[str, _Part] = {}
        active: dict[str, None] = {}
        waiting = [iter(whole.references)]
        while waiting:
            name = next(waiting[-1], None)
            if name is None:
                waiting.pop()
                if active:
                    active.popitem()
            elif name in definitions and name not in active:
                if name not in parts:
                    parts[name] = _part_of(definitions[name])
                part = parts[name]
                self._values += part.values
                self._characters += part.characters + part.spread
                if len(active) >= MOST_DEPTH or not self._has_room():
                    return False
                active[name] = None
                waiting.append(iter(part.references))
        self._lookups += (whole.values + self._values - before) * len(definitions)
        return self._has_room()

    def _has_room(self) -> bool:
        return (
            self._values <= MOST_VALUES
            and self._characters <= MOST_CHARACTERS
            and self._pattern_characters <= MOST_PATTERN_CHARACTERS
            and self._lookups <= MOST_LOOKUPS
        )


def _part_of(nodes: list[Any]) -> _Part:
    part = _Part()
    stack: list[tuple[Any, int]] = [(node, 0) for node in nodes]
    while stack and part.values <= MOST_VALUES:  # several of one name may lie within each other
        node, label = stack.pop()
        part.values += 1
        if isinstance(node, str):
            part.characters += len(node)
        elif isinstance(node, list):
            stack.extend((item, 0) for item in node)
        elif isinstance(node, dict):
            part.spread += label
            reference = node.get("$ref")
            if isinstance(reference, str):
                part.references.append(reference.rpartition("/")[2])
            # What a branch has been given goes on to its own branches.
            label = max(
                label, sum(len(text) for text in map(node.get, ("title", "description")) if isinstance(text, str))
            )
            for name, item in node.items():
                part.characters += len(name)
                if name == "pattern" and isinstance(item, str):
                    part.pattern_characters += len(item)
                elif name == "patternProperties" and isinstance(item, dict):
                    part.pattern_characters += sum(map(len, item))
                if name == "anyOf" and isinstance(item, list):
                    stack.extend((branch, label) for branch in item)
                else:
                    stack.append((item, 0))
                if name in _DEFINITIONS and isinstance(item, dict):
                    for defined, definition in item.items():
                        part.definitions.setdefault(defined, []).append(definition)
    return part
