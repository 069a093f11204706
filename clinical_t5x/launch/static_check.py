"""Mistakes in a gin configuration, found in a fraction of a second, before jax is imported.

gin itself reports the same mistakes seconds later, after the imports, in messages that print the
whole configuration; a misspelt macro it accepts in silence.
"""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Iterable
from typing import Any

from clinical_t5x.console import UserError
from clinical_t5x.launch import symbols
from clinical_t5x.launch.gin_reading import (
    COMMAND_LINE,
    REQUIRED,
    Binding,
    Import,
    Macro,
    Place,
    Reading,
    Reference,
    iterate_leaves,
)
from clinical_t5x.launch.programs import MAIN_NAMES, Program
from clinical_t5x.launch.symbols import MissingNameError, Signature, Symbol

# Macros that T5X's run files define for all programs, whether or not a run uses them.
_KNOWN_UNUSED = {"ACTIVATION_DTYPE", "DROPOUT_RATE", "LABEL_SMOOTHING", "LOSS_NORMALIZING_FACTOR"}
_MOST_SHOWN = 6


@dataclasses.dataclass(frozen=True)
class Configuration:
    """A checked configuration: what is bound in the end, and where.

    macros: a macro's name to its last binding.
    parameters: (scope, identity of the configurable, parameter) to its last binding.
    notices: things to tell the user that are no errors.
    """

    macros: dict[str, Binding]
    parameters: dict[tuple[str, str, str], Binding]
    notices: tuple[str, ...]

    def value(self, value: Any) -> Any:
        """`value` with macros replaced by what they stand for in the end."""
        for _ in range(len(self.macros) + 1):
            if not isinstance(value, Macro) or value.name not in self.macros:
                return value
            value = self.macros[value.name].value
        return value

    def macro(self, name: str, default: Any = None) -> Any:
        """The value of macro `name`, or `default` when it is not defined."""
        return self.value(Macro(name)) if name in self.macros else default

    def bound(self, identity: str, parameter: str) -> list[Binding]:
        """The bindings of a configurable's parameter, one for each scope that has one."""
        return [
            binding
            for (_, owner, name), binding in self.parameters.items()
            if owner == identity and name == parameter
        ]


def check(reading: Reading, program: Program) -> Configuration:
    """Check a configuration for `program`.

    Raises:
      UserError: with all that is wrong: unknown modules, names and parameters, macros that are
        undefined, required and unset, or on the command line and unused.
    """
    symbols.forget()
    return _Check(reading, program).run()


class _Check:
    def __init__(self, reading: Reading, program: Program):
        self._reading, self._program = reading, program
        self._problems: list[str] = []
        self._unresolved: set[str] = set()  # selectors already reported
        self._registered: dict[str, Symbol] = {}  # full dotted name to meaning, as gin's registry
        self._macros: dict[str, Binding] = {}
        self._parameters: dict[tuple[str, str, str], Binding] = {}

    def run(self) -> Configuration:
        for statement in self._reading.imports:
            self._check_import(statement)
        self._stop_on_problems()
        self._bind_all()
        self._stop_on_problems()
        self._check_entry_bound()
        self._check_macros()
        self._stop_on_problems()
        notices = (*self._reading.notices, *self._unused_in_files())
        return Configuration(self._macros, self._parameters, notices)

    def _stop_on_problems(self) -> None:
        problems = list(dict.fromkeys(self._problems))
        if len(problems) > _MOST_SHOWN:
            left = len(problems) - _MOST_SHOWN
            problems = [*problems[:_MOST_SHOWN], f"and {left} more of the kind"]
        if problems:
            raise UserError("\n  ".join(problems))

    def _check_import(self, statement: Import) -> None:
        if statement.module == "__main__":
            return
        head, *rest = statement.module.split(".")
        try:
            symbols.resolve(head, tuple(rest))
        except MissingNameError as error:
            near = _suggest(error.name, error.existing)
            self._problems.append(
                f"{statement.place}: cannot import {statement.module}: "
                f"{error.owner} has no {error.name}{near}"
            )

    def _bind_all(self) -> None:
        for block in self._reading.blocks:
            self._resolve(block.selector, block)
        for binding in self._reading.bindings:
            if binding.is_macro:
                self._macros[binding.macro_name] = binding
            else:
                self._bind(binding)
            for leaf in iterate_leaves(binding.value):
                if isinstance(leaf, Reference):
                    self._resolve(leaf.name, binding)

    def _bind(self, binding: Binding) -> None:
        symbol = self._resolve(binding.selector, binding)
        if symbol is None:
            return
        identity = symbol.identity or binding.selector
        self._parameters[binding.scope, identity, binding.parameter] = binding
        if symbol.kind == "module":
            self._problems.append(
                f"{binding.place}: {binding.selector} is a module; name a class or function in it"
            )
        elif symbol.signature is not None:
            self._check_parameter(binding, symbol.signature)

    def _check_parameter(self, binding: Binding, signature: Signature) -> None:
        if signature.open_ended or binding.parameter in signature.parameters:
            return
        near = _suggest(binding.parameter, signature.parameters)
        if not near:
            near = f"; it has {', '.join(signature.parameters) or 'no parameters'}"
        self._problems.append(
            f"{binding.place}: {binding.selector} has no parameter {binding.parameter}{near}"
        )

    def _resolve(self, selector: str, binding: Binding) -> Symbol | None:
        """What `selector` means in the file of `binding`; None after noting a problem."""
        if not binding.symbols.dynamic_registration:
            return self._resolve_registered(selector, binding.place)
        head, *rest = selector.split(".")
        if head == "gin":
            return Symbol("unknown", "")
        module = binding.symbols.modules.get(head)
        if module is None:
            near = _suggest(head, binding.symbols.modules)
            self._report_name(selector, binding, f"{head} is not imported in this file{near}")
            return None
        try:
            symbol = self._meaning(module, tuple(rest))
        except MissingNameError as error:
            near = _suggest(error.name, error.existing)
            self._report_name(selector, binding, f"{error.owner} has no {error.name}{near}")
            return None
        self._registered[".".join([head if module == "__main__" else module, *rest])] = symbol
        return symbol

    def _report_name(self, selector: str, binding: Binding, reason: str) -> None:
        """Note an unknown name once, however often it is used."""
        if selector not in self._unresolved:
            self._unresolved.add(selector)
            self._problems.append(f"{binding.place}: unknown name {selector}: {reason}")

    def _meaning(self, module: str, attributes: tuple[str, ...]) -> Symbol:
        if module != "__main__":
            return symbols.resolve(module, attributes)
        if not attributes:
            return Symbol("module", "__main__")
        if attributes[0] not in MAIN_NAMES:
            raise MissingNameError("the program", attributes[0], MAIN_NAMES)
        target_module, name = MAIN_NAMES[attributes[0]]
        return symbols.resolve(target_module, (name, *attributes[1:]))

    def _resolve_registered(self, selector: str, place: Place) -> Symbol | None:
        """A selector without imports of its own matches the end of a name used in the files."""
        matches = {
            symbol.identity or name: symbol
            for name, symbol in self._registered.items()
            if f".{name}".endswith(f".{selector}")
        }
        if len(matches) == 1:
            return next(iter(matches.values()))
        if matches:
            meanings = " or ".join(sorted(matches))
            self._problems.append(f"{place}: {selector} may mean {meanings}; write more of it")
            return None
        short = {".".join(name.split(".")[-2:]) for name in self._registered}
        short |= {name.split(".")[-1] for name in self._registered if "." not in selector}
        hint = _suggest(selector, short) or "; the gin files use no such name"
        if place.file != COMMAND_LINE:
            hint += " (the file lacks: from __gin__ import dynamic_registration)"
        self._problems.append(f"{place}: unknown name {selector}{hint}")
        return None

    def _check_entry_bound(self) -> None:
        """The program's function must be configured, and have its required parameters."""
        program = self._program
        symbol = self._meaning("__main__", (program.entry,))
        given = {name for _, identity, name in self._parameters if identity == symbol.identity}
        if not given:
            others = [
                name
                for name in MAIN_NAMES
                for _, identity, _ in self._parameters
                if identity == self._meaning("__main__", (name,)).identity
            ]
            what = f"they configure {others[0]} instead" if others else "no run file is among them"
            raise UserError(
                f"the gin files do not configure {program.entry} ({what}); "
                f"add a run file such as --gin_file={program.run_file}"
            )
        required = symbol.signature.required if symbol.signature else ()
        for name in required:
            if name not in given:
                self._problems.append(
                    f"{program.script}.{program.entry}.{name} has no value; bind it in a gin file"
                    f" or with --gin.{program.entry}.{name}=VALUE"
                )

    def _uses(self) -> dict[str, Place]:
        """Macros that the final bindings use, with the place of one use."""
        uses: dict[str, Place] = {}
        for binding in (*self._parameters.values(), *self._macros.values()):
            for leaf in iterate_leaves(binding.value):
                if isinstance(leaf, Macro) and leaf != REQUIRED:
                    uses.setdefault(leaf.name, binding.place)
        return uses

    def _check_macros(self) -> None:
        uses = self._uses()
        unset = [name for name, binding in self._macros.items() if binding.value == REQUIRED]
        for name in sorted(unset):
            place = self._macros[name].place
            self._problems.append(
                f"{name} has no value ({place} requires it); set it in a gin file or with "
                f"--gin.{name}={_EXAMPLES.get(name, 'VALUE')}"
            )
        for (scope, _, parameter), binding in self._parameters.items():
            if binding.value == REQUIRED:
                name = f"{scope}/{binding.selector}" if scope else binding.selector
                self._problems.append(
                    f"{name}.{parameter} has no value ({binding.place} requires it); set it with "
                    f"--gin.{name}.{parameter}=VALUE"
                )
        for name, place in uses.items():
            if name not in self._macros and not name.startswith("gin."):
                self._problems.append(
                    f"{place}: %{name} is not defined{_suggest(name, self._macros)}; "
                    f"set it in a gin file or with --gin.{name}=VALUE"
                )
        for name, binding in self._macros.items():
            if name not in uses and binding.place.file == COMMAND_LINE:
                near = _suggest(name, sorted(uses), cutoff=0.5) or "; the gin files never use it"
                self._problems.append(f"--gin.{name}: no macro of this name{near}")

    def _unused_in_files(self) -> Iterable[str]:
        """A macro of a file that nothing uses and that looks like a used one is a misspelling."""
        uses = self._uses()
        for name, binding in self._macros.items():
            if name in uses or name in _KNOWN_UNUSED:
                continue
            near = _suggest(name, sorted(uses), cutoff=0.8)
            if near:
                raise UserError(f"{binding.place}: nothing uses the macro {name}{near}")
            yield f"{binding.place}: nothing uses the macro {name}"


def _suggest(name: str, existing: Iterable[str], cutoff: float = 0.6) -> str:
    """ "; did you mean X?" with up to three names that look like `name`, or an empty string."""
    matches = difflib.get_close_matches(name, list(dict.fromkeys(existing)), n=3, cutoff=cutoff)
    return f"; did you mean {' or '.join(matches)}?" if matches else ""


_EXAMPLES = {
    "MODEL_DIR": "runs/my_model",
    "TRAIN_STEPS": "1000",
    "INITIAL_CHECKPOINT_PATH": "runs/clinical_base",
    "CHECKPOINT_PATH": "runs/clinical_base",
    "EVAL_OUTPUT_DIR": "runs/eval",
    "INFER_OUTPUT_DIR": "runs/infer",
    "MIXTURE_OR_TASK_NAME": "mimic_pretrain_v1",
    "MIXTURE_OR_TASK_MODULE": "tasks.pretrain",
    "DROPOUT_RATE": "0.1",
    "TASK_FEATURE_LENGTHS": "\"{'inputs': 512, 'targets': 114}\"",
}
