"""Gin files as statements with their places, read without importing anything they name.

gin's own parser does the grammar; what it would resolve at once (references, macros, imports) is
kept as plain data for `static_check`.
"""

from __future__ import annotations

import dataclasses
import os
import tokenize
from collections.abc import Iterator, Sequence
from typing import Any

from clinical_t5x.console import UserError
from clinical_t5x.launch.search_path import SearchPath
from gin import config_parser

COMMAND_LINE = "the command line"


@dataclasses.dataclass(frozen=True)
class Place:
    """Where a statement stands: a file as the user named it, and a line (0: a whole binding)."""

    file: str
    line: int

    def __str__(self) -> str:
        return f"{self.file} line {self.line}" if self.line else self.file


@dataclasses.dataclass(frozen=True)
class Reference:
    """`@scope/name` or, called, `@scope/name()`."""

    scoped_name: str
    called: bool

    @property
    def name(self) -> str:
        """The name without its scopes."""
        return self.scoped_name.rpartition("/")[2]


@dataclasses.dataclass(frozen=True)
class Macro:
    """`%NAME` used as a value; `%gin.REQUIRED` is the macro named "gin.REQUIRED"."""

    name: str


REQUIRED = Macro("gin.REQUIRED")


@dataclasses.dataclass(frozen=True)
class Binding:
    """`scope/selector.parameter = value`; a macro's definition has an empty parameter."""

    scope: str
    selector: str
    parameter: str
    value: Any
    place: Place
    symbols: Symbols

    @property
    def is_macro(self) -> bool:
        """Whether this defines a macro."""
        return not self.parameter

    @property
    def macro_name(self) -> str:
        """The macro's name with its scope."""
        return f"{self.scope}/{self.selector}" if self.scope else self.selector


@dataclasses.dataclass
class Symbols:
    """One file's imports: the names they bind and the modules behind them."""

    dynamic_registration: bool = False
    modules: dict[str, str] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Import:
    """One import statement: the module, the name that it binds, and where it stands."""

    module: str
    name: str
    place: Place


@dataclasses.dataclass
class Reading:
    """All statements of a configuration in the order in which gin would apply them."""

    bindings: list[Binding] = dataclasses.field(default_factory=list)
    blocks: list[Binding] = dataclasses.field(default_factory=list)
    imports: list[Import] = dataclasses.field(default_factory=list)
    notices: list[str] = dataclasses.field(default_factory=list)
    files: list[str] = dataclasses.field(default_factory=list)


def read_configuration(
    gin_files: Sequence[str], bindings: Sequence[str], search_path: SearchPath
) -> Reading:
    """Read `gin_files` in order, their includes in place, then `bindings`.

    Raises:
      UserError: a file or an include that does not exist, an include that includes itself, or a
        line that is not gin, with the file and the line.
    """
    reading = Reading()
    for name in gin_files:
        _read_file(name, search_path.find(name), reading, search_path, ())
    for statement in bindings:
        symbols = Symbols()
        for parsed in _statements(statement, COMMAND_LINE):
            _take(parsed, Place(COMMAND_LINE, 0), symbols, reading, search_path, ())
    return reading


def _read_file(
    name: str, path: str, reading: Reading, search_path: SearchPath, inside: tuple[str, ...]
) -> None:
    if path in inside:
        chain = " includes ".join(os.path.basename(file) for file in (*inside, path))
        raise UserError(f"gin files include each other in a circle: {chain}; remove one include")
    first_reading = path not in reading.files
    before = len(reading.bindings)
    reading.files.append(path)
    with open(path, encoding="utf-8") as file:
        text = file.read()
    symbols = Symbols()
    for statement in _statements(text, name):
        place = Place(name, statement.location.line_num)
        _take(statement, place, symbols, reading, search_path, (*inside, path))
    if not first_reading:
        _notice_undone(name, reading, before)


def _take(
    statement: Any,
    place: Place,
    symbols: Symbols,
    reading: Reading,
    search_path: SearchPath,
    inside: tuple[str, ...],
) -> None:
    if isinstance(statement, config_parser.BindingStatement):
        key = (statement.scope, statement.selector, statement.arg_name)
        reading.bindings.append(Binding(*key, statement.value, place, symbols))
    elif isinstance(statement, config_parser.BlockDeclaration):
        key = (statement.scope, statement.selector, "")
        reading.blocks.append(Binding(*key, None, place, symbols))
    elif isinstance(statement, config_parser.IncludeStatement):
        path = search_path.find(statement.filename, f"included by {place}")
        _read_file(statement.filename, path, reading, search_path, inside)
    elif statement.module.startswith("__gin__."):
        symbols.dynamic_registration = True
    else:
        # `import a.b` binds a; `from a import b` and aliases bind the module itself.
        whole = statement.is_from or statement.alias
        module = statement.module if whole else statement.module.split(".")[0]
        symbols.modules[statement.bound_name()] = module
        reading.imports.append(Import(statement.module, statement.bound_name(), place))


class _PlainData(config_parser.ParserDelegate):
    def configurable_reference(self, scoped_configurable_name, evaluate):
        return Reference(scoped_configurable_name, evaluate)

    def macro(self, macro_name):
        return Macro(macro_name)


def _statements(text: str, name: str) -> Iterator[Any]:
    try:
        yield from config_parser.ConfigParser(text, _PlainData())
    except SyntaxError as error:
        location = error.args[1] if len(error.args) > 1 else (name, 0, 0, "")
        line, content = location[1], (location[3] or "").strip()
        raise UserError(
            f"{_where(name, line)}: not valid gin: {_reason(error)}: {content}"
        ) from None
    except tokenize.TokenError as error:
        line = error.args[1][0] if len(error.args) > 1 else 0
        raise UserError(f"{_where(name, line)}: not valid gin: an open bracket or quote") from None


def _where(name: str, line: int) -> str:
    return str(Place(name, 0 if name == COMMAND_LINE else line))


def _reason(error: SyntaxError) -> str:
    text = " ".join(str(error.args[0]).split()).rstrip(".")
    return text[:1].lower() + text[1:]


def _notice_undone(name: str, reading: Reading, start: int) -> None:
    """Say when a file that is read a second time takes back what was set since the first time."""
    again = reading.bindings[start:]
    earlier: dict[tuple[str, str, str], Binding] = {}
    for binding in reading.bindings[:start]:
        earlier[binding.scope, binding.selector, binding.parameter] = binding
    for binding in again:
        previous = earlier.get((binding.scope, binding.selector, binding.parameter))
        if previous is None or previous.value == binding.value:
            continue
        target = ".".join(filter(None, (previous.selector, previous.parameter)))
        reading.notices.append(
            f"{name} is read a second time and takes back {target}, set in {previous.place}"
        )


def iterate_leaves(value: Any) -> Iterator[Any]:
    """Yield the leaves of a nested gin value: literals, references and macros; keys of dicts too.

    Example: `{"inputs": %LENGTH}` yields "inputs" and Macro("LENGTH").
    """
    if isinstance(value, dict):
        for key, item in value.items():
            yield from iterate_leaves(key)
            yield from iterate_leaves(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from iterate_leaves(item)
    else:
        yield value
