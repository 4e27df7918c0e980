"""Makes a value that matches a JSON schema, as a model does that was told to. `pattern`, `not`, `if` and the like are
ignored."""

import math
from collections.abc import Mapping
from typing import Any, Final

# A schema may refer to itself, and to each of its definitions many times over.
_MOST_LEVELS: Final = 24
_MOST_VALUES: Final = 2_000
_MOST_ITEMS: Final = 100
_MOST_CHARACTERS: Final = 1_000
_LARGEST: Final = 2**53
_WORD: Final = "demo"
_FORMATS: Final = {
    "date": "2026-01-01",
    "date-time": "2026-01-01T00:00:00Z",
    "time": "00:00:00Z",
    "duration": "P1D",
    "email": "demo@example.com",
    "hostname": "example.com",
    "ipv4": "192.0.2.1",
    "ipv6": "2001:db8::1",
    "uri": "https://example.com/",
    "uuid": "00000000-0000-4000-8000-000000000000",
}


def sample(schema: Any) -> Any:
    """Any value that matches `schema`; `None` if it would become too large."""
    return _Sampler(schema).value(schema, 0)


class _Sampler:
    def __init__(self, root: Any) -> None:
        self._root = root
        self._left = _MOST_VALUES

    def value(self, schema: Any, level: int) -> Any:
        self._left -= 1
        if not isinstance(schema, dict) or level > _MOST_LEVELS or self._left < 0:
            return None if isinstance(schema, dict) else _WORD
        for name in ("const", "default"):
            if name in schema:
                return schema[name]
        for name in ("enum", "examples"):
            if isinstance(schema.get(name), list) and schema[name]:
                return schema[name][0]
        if "$ref" in schema:
            return self.value(self._at(schema["$ref"]), level + 1)
        for name in ("anyOf", "oneOf"):
            if isinstance(schema.get(name), list) and schema[name]:
                return self.value(_with(schema, self._simplest(schema[name])), level + 1)
        if isinstance(schema.get("allOf"), list):
            whole = {name: value for name, value in schema.items() if name != "allOf"}
            for part in schema["allOf"]:
                whole = _with(whole, self._at(part["$ref"]) if isinstance(part, dict) and "$ref" in part else part)
            return self.value(whole, level + 1)
        return self._of_type(_type(schema), schema, level)

    def _of_type(self, kind: str, schema: Mapping[str, Any], level: int) -> Any:
        if kind == "object":
            return self._object(schema, level)
        if kind == "array":
            return self._array(schema, level)
        if kind in ("integer", "number"):
            return _number(schema, whole=kind == "integer")
        if kind == "string":
            return _text(schema)
        return {"boolean": True}.get(kind)

    def _object(self, schema: Mapping[str, Any], level: int) -> dict[str, Any]:
        named = schema.get("properties")
        properties = named if isinstance(named, dict) else {}
        required = schema.get("required")
        needed = {name for name in required if isinstance(name, str)} if isinstance(required, list) else set()
        # Deep inside only required members, so that a schema that refers to itself comes to an end.
        names = [name for name in properties if name in needed or level < _MOST_LEVELS // 4]
        made = {name: self.value(properties[name], level + 1) for name in names}
        return made | dict.fromkeys(needed - properties.keys(), _WORD)

    def _array(self, schema: Mapping[str, Any], level: int) -> list[Any]:
        least, most = _whole(schema.get("minItems")), schema.get("maxItems")
        wanted = max(least, 0 if most == 0 or level >= _MOST_LEVELS // 4 else 1)
        prefix = schema.get("prefixItems")
        items = [self.value(item, level + 1) for item in prefix] if isinstance(prefix, list) else []
        while len(items) < min(wanted, _MOST_ITEMS) and self._left > 0:
            items.append(self.value(schema.get("items", {"type": "string"}), level + 1))
        return items

    def _simplest(self, choices: list[Any]) -> Any:
        """The first one that is no reference: a schema that refers to itself has another choice."""
        return next((one for one in choices if isinstance(one, dict) and "$ref" not in one), choices[0])

    def _at(self, reference: Any) -> Any:
        place = self._root
        for part in str(reference).removeprefix("#").split("/")[1:]:
            place = place.get(part.replace("~1", "/").replace("~0", "~")) if isinstance(place, dict) else None
        return place if isinstance(place, dict) else {}


def _with(schema: Mapping[str, Any], part: Any) -> dict[str, Any]:
    """`schema` merged with one part of its `anyOf`, `oneOf` or `allOf`."""
    whole = {name: value for name, value in schema.items() if name not in ("anyOf", "oneOf")}
    for name, value in (part if isinstance(part, dict) else {}).items():
        if name == "properties" and isinstance(whole.get(name), dict) and isinstance(value, dict):
            whole[name] = {**whole[name], **value}
        elif name == "required" and isinstance(whole.get(name), list) and isinstance(value, list):
            whole[name] = [*whole[name], *value]
        else:
            whole[name] = value
    return whole


def _type(schema: Mapping[str, Any]) -> str:
    kind = schema.get("type")
    if isinstance(kind, list):
        kind = next((one for one in kind if one != "null"), "null")
    if isinstance(kind, str):
        return kind.lower()  # Gemini's are in capitals
    return "object" if "properties" in schema else "array" if "items" in schema else "string"


def _number(schema: Mapping[str, Any], *, whole: bool) -> float:
    step = schema.get("multipleOf", 1 if whole else 0)
    least = _bound(schema, "minimum", "exclusiveMinimum", math.ceil, 1)
    most = _bound(schema, "maximum", "exclusiveMaximum", math.floor, -1)
    value: float = 1 if least is None else least
    if most is not None and value > most:
        value = most if least is None else (least + most) / 2
    if isinstance(step, int | float) and step > 0 and abs(value) < _LARGEST * step:
        value = math.ceil(value / step) * step
    return int(max(-_LARGEST, min(value, _LARGEST))) if whole else value


def _bound(schema: Mapping[str, Any], name: str, exclusive: str, rounded: Any, by: int) -> float | None:
    if isinstance(schema.get(exclusive), int | float) and not isinstance(schema[exclusive], bool):
        edge: float = schema[exclusive]
        return rounded(edge) + by if rounded(edge) == edge else float(rounded(edge))
    value = schema.get(name)
    return value if isinstance(value, int | float) else None


def _text(schema: Mapping[str, Any]) -> str:
    text = _FORMATS.get(str(schema.get("format")), _WORD)
    least, most = min(_whole(schema.get("minLength")), _MOST_CHARACTERS), schema.get("maxLength")
    text = (text * (least // len(text) + 1))[:least] if least > len(text) else text
    return text[:most] if isinstance(most, int) and most >= 0 else text


def _whole(value: Any) -> int:
    return value if isinstance(value, int) and value > 0 else 0
