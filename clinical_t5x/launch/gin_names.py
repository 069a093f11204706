"""What the names in a gin configuration mean: classes, functions, modules; no imports."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable

from clinical_t5x.launch import absent_tasks, symbols
from clinical_t5x.launch.gin_reading import COMMAND_LINE, Binding, Import, Place, Reading
from clinical_t5x.launch.programs import MAIN_NAMES, entry_place
from clinical_t5x.launch.symbols import MissingNameError, Symbol

_UNKNOWN = Symbol("unknown", "")


class Names:
    """Resolves selectors as gin does: by the imports of their file, or by names seen before."""

    def __init__(self, reading: Reading, report: Callable[[str], None]):
        self._reading, self._report = reading, report
        self._seen: dict[tuple[int, str], Symbol | None] = {}
        self._registered: dict[str, Symbol] = {}  # full dotted name to meaning, as gin's registry

    def check_imports(self) -> None:
        """Report every import statement whose module does not exist."""
        for statement in self._reading.imports:
            self._check_import(statement)

    def _check_import(self, statement: Import) -> None:
        if statement.module == "__main__" or absent_tasks.is_absent(statement.module):
            return
        head, *rest = statement.module.split(".")
        try:
            symbols.resolve(head, tuple(rest))
        except MissingNameError as error:
            near = suggest(error.name, error.existing)
            self._report(
                f"{statement.place}: cannot import {statement.module}: "
                f"{error.owner} has no {error.name}{near}"
            )

    def meaning(self, selector: str, binding: Binding) -> Symbol | None:
        """What `selector` means in the file of `binding`; None after reporting a problem, once."""
        key = (id(binding.symbols), selector)
        if key not in self._seen:
            self._seen[key] = self._resolve(selector, binding)
        return self._seen[key]

    def entry(self, name: str) -> Symbol:
        """What the program's function `name` is."""
        module, attribute = entry_place(name)
        return symbols.resolve(module, (attribute,))

    def _resolve(self, selector: str, binding: Binding) -> Symbol | None:
        if not binding.symbols.dynamic_registration:
            return self._resolve_registered(selector, binding.place)
        head, *rest = selector.split(".")
        if head == "gin":
            return _UNKNOWN
        module = binding.symbols.modules.get(head)
        if module is None:
            near = suggest(head, binding.symbols.modules)
            reason = f"{head} is not imported in this file{near}"
            self._report(f"{binding.place}: unknown name {selector}: {reason}")
            return None
        if absent_tasks.is_absent(module):
            self._report(f"{binding.place}: {selector} is from {module}, which is not installed")
            return None
        try:
            symbol = self._follow(module, tuple(rest))
        except MissingNameError as error:
            reason = f"{error.owner} has no {error.name}{suggest(error.name, error.existing)}"
            self._report(f"{binding.place}: unknown name {selector}: {reason}")
            return None
        self._registered[".".join([head if module == "__main__" else module, *rest])] = symbol
        return symbol

    def _follow(self, module: str, attributes: tuple[str, ...]) -> Symbol:
        if module != "__main__":
            return symbols.resolve(module, attributes)
        if not attributes:
            return Symbol("module", "__main__")
        if attributes[0] not in MAIN_NAMES:
            raise MissingNameError("the program", attributes[0], MAIN_NAMES)
        target, name = MAIN_NAMES[attributes[0]]
        return symbols.resolve(target, (name, *attributes[1:]))

    def _resolve_registered(self, selector: str, place: Place) -> Symbol | None:
        """A selector without imports of its own matches the end of a name that files use."""
        matches = {
            symbol.identity or name: symbol
            for name, symbol in self._registered.items()
            if f".{name}".endswith(f".{selector}")
        }
        if len(matches) == 1:
            return next(iter(matches.values()))
        if matches:
            meanings = " or ".join(sorted(matches))
            self._report(f"{place}: {selector} may mean {meanings}; write more of it")
            return None
        depth = selector.count(".") + 1
        known = {".".join(name.split(".")[-depth:]) for name in self._registered}
        hint = suggest(selector, sorted(known)) or "; the gin files use no such name"
        if place.file != COMMAND_LINE:
            hint += " (the file does not begin with: from __gin__ import dynamic_registration)"
        self._report(f"{place}: unknown name {selector}{hint}")
        return None


def suggest(name: str, existing: Iterable[str], cutoff: float = 0.6) -> str:
    """ "; did you mean X?" with up to three names that look like `name`, or an empty string."""
    matches = difflib.get_close_matches(name, list(dict.fromkeys(existing)), n=3, cutoff=cutoff)
    return f"; did you mean {' or '.join(matches)}?" if matches else ""
