"""A small, fast template grammar: the language in which all synthetic text is written.

A rule is a string of alternatives, split at newlines and at top-level `|`. Inside an alternative:

    [a|b|]        one of these, chosen with equal probability (may be nested, may be empty)
    {name}        an alternative of the rule `name`, or, where no rule has that name, the value of
                  `name` in the caller's context (a string, or a tuple to choose from)
    {#3-12}       a whole number from 3 to 12
    {#1.2-4.5}    a number with one decimal
    {~name}       what the function registered as `name` returns (de-identification tags, dates)

Rules are compiled once, at import, to nested tuples; expanding one costs about 0.2 microseconds a
slot, which is what lets the generator write thousands of notes a second.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

Draw = Callable[[], float]  # random.Random.random, bound: uniform on [0, 1)
Context = Mapping[str, Any]


class Slot(str):
    """The name of a context value inside a compiled alternative."""

    __slots__ = ()


class Sequence(NamedTuple):
    """A compiled alternative that is not the same each time.

    Attributes:
        template: its fixed text, with %s where something is filled in.
        parts: what is filled in, in order: choices (tuples), slots and functions.
    """

    template: str
    parts: tuple


class Grammar:
    """Compiled rules under their names.

    Args:
        rules: rule name -> alternatives in the notation of this module.
        functions: what `{~name}` may call; each takes a `Draw`.
        base: rules that this grammar may refer to as well; names must not clash.
    """

    def __init__(
        self,
        rules: Mapping[str, str],
        *,
        functions: Mapping[str, Callable[[Draw], str]] | None = None,
        base: Grammar | None = None,
    ):
        self._functions = dict(base._functions) if base else {}
        self._functions.update(functions or {})
        self._compiled: dict[str, tuple] = dict(base._compiled) if base else {}
        clash = self._compiled.keys() & rules.keys()
        if clash:
            raise ValueError(f"rules defined twice: {sorted(clash)}")
        self._sources = rules
        self._open: set[str] = set()
        for name in rules:
            self._rule(name)

    def __getitem__(self, name: str) -> tuple:
        return self._compiled[name]

    def __contains__(self, name: str) -> bool:
        return name in self._compiled

    def _rule(self, name: str) -> tuple:
        if name not in self._compiled:
            if name in self._open:
                raise ValueError(f"rule {name!r} refers to itself")
            self._open.add(name)
            self._compiled[name] = self._choice(self._sources[name])
        return self._compiled[name]

    def _choice(self, source: str) -> tuple:
        """Compile alternatives: a tuple of plain strings and of sequences."""
        lines = [line.strip(" ") for line in source.split("\n")] if "\n" in source else [source]
        alternatives = [part for line in lines for part in _split_top(line)]
        if len(lines) > 1:
            alternatives = [part for part in alternatives if part]
        return tuple(self._sequence(alternative) for alternative in alternatives)

    def _sequence(self, source: str) -> str | Sequence:
        parts: list[Any] = []
        position = 0
        while position < len(source):
            opening = source[position]
            if opening in "[{":
                end = _closing(source, position)
                inner = source[position + 1 : end]
                parts.append(self._choice(inner) if opening == "[" else self._reference(inner))
                position = end + 1
            else:
                end = min(
                    (at for at in (source.find(c, position) for c in "[{") if at >= 0),
                    default=len(source),
                )
                parts.append(source[position:end])
                position = end
        filled = tuple(part for part in parts if type(part) is not str)
        if not filled:
            return "".join(parts)
        fixed = (part.replace("%", "%%") if type(part) is str else "%s" for part in parts)
        return Sequence("".join(fixed), filled)

    def _reference(self, inner: str) -> Any:
        if inner.startswith("#"):
            return _number(inner[1:])
        if inner.startswith("~"):
            return self._functions[inner[1:]]
        if inner in self._compiled or inner in self._sources:
            return self._rule(inner)
        return Slot(inner)


def _split_top(line: str) -> list[str]:
    """Split at `|` outside brackets."""
    parts, depth, start = [], 0, 0
    for position, character in enumerate(line):
        if character in "[{":
            depth += 1
        elif character in "]}":
            depth -= 1
            if depth < 0:
                raise ValueError(f"unmatched closing bracket in {line!r}")
        elif character == "|" and depth == 0:
            parts.append(line[start:position])
            start = position + 1
    if depth:
        raise ValueError(f"unmatched opening bracket in {line!r}")
    parts.append(line[start:])
    return parts


def _closing(source: str, opening: int) -> int:
    depth = 0
    for position in range(opening, len(source)):
        if source[position] in "[{":
            depth += 1
        elif source[position] in "]}":
            depth -= 1
            if depth == 0:
                return position
    raise ValueError(f"unmatched opening bracket in {source!r}")


def _number(bounds: str) -> Callable[[Draw], str]:
    low, high = bounds.split("-")
    if "." in bounds:
        start, span = round(float(low) * 10), round((float(high) - float(low)) * 10) + 1
        return functools.partial(_tenths, start, span)
    return functools.partial(_whole, int(low), int(high) - int(low) + 1)


def _whole(start: int, span: int, draw: Draw) -> str:
    return str(start + int(draw() * span))


def _tenths(start: int, span: int, draw: Draw) -> str:
    return str((start + int(draw() * span)) / 10)


def expand(choice: tuple, draw: Draw, context: Context) -> str:
    """Write out one random alternative of a compiled rule."""
    return expand_one(choice[int(draw() * len(choice))], draw, context)


def expand_one(alternative: str | Sequence, draw: Draw, context: Context) -> str:
    """Write out one given alternative."""
    return alternative if type(alternative) is str else _filled(alternative, draw, context)


def _filled(sequence: Sequence, draw: Draw, context: Context) -> str:
    template, parts = sequence
    values = []
    for part in parts:
        kind = type(part)
        if kind is Slot:
            part = context[part]
            kind = type(part)
        if kind is tuple:
            part = part[int(draw() * len(part))]
            kind = type(part)
        if kind is str:
            values.append(part)
        elif kind is Sequence:
            values.append(_filled(part, draw, context))
        else:
            values.append(part(draw))
    return template % tuple(values)


def pick(items: Any, draw: Draw) -> Any:
    """One item of a sequence, uniformly."""
    return items[int(draw() * len(items))]


def several(items: Any, count: int, draw: Draw) -> list:
    """`count` different items of a sequence, in random order (all of them when it has fewer)."""
    size = len(items)
    if count >= size:
        count = size
    pool = list(items)
    for place in range(count):
        other = place + int(draw() * (size - place))
        pool[place], pool[other] = pool[other], pool[place]
    return pool[:count]


def sentence(choice: tuple, draw: Draw, context: Context) -> str:
    """One expanded alternative with a capital first letter."""
    text = expand(choice, draw, context)
    return text[:1].upper() + text[1:]


def sentences(choice: tuple, count: int, draw: Draw, context: Context) -> list[str]:
    """`count` sentences from different alternatives of a rule, each with a capital first letter."""
    texts = [expand_one(chosen, draw, context) for chosen in several(choice, count, draw)]
    return [text[:1].upper() + text[1:] for text in texts]
