"""Mistakes in a gin configuration, found in a fraction of a second, before jax is imported.

gin itself reports the same mistakes seconds later, after the imports, in messages that print the
whole configuration; a misspelt macro it accepts in silence.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

from clinical_t5x.console import UserError
from clinical_t5x.launch import absent_tasks, accepted, symbols
from clinical_t5x.launch.gin_names import Names, suggest
from clinical_t5x.launch.gin_reading import (
    COMMAND_LINE,
    REQUIRED,
    Binding,
    Macro,
    Place,
    Reading,
    Reference,
    iterate_leaves,
)
from clinical_t5x.launch.programs import PRECOMPILE_RUN, PROGRAMS, Program
from clinical_t5x.launch.symbols import Symbol

# Macros of T5X's files that not every program uses.
_MAY_BE_UNUSED = {"ACTIVATION_DTYPE", "DROPOUT_RATE", "LABEL_SMOOTHING", "LOSS_NORMALIZING_FACTOR"}
_MOST_SHOWN = 6
_MODEL_FILE = "gin/models/clinical_base.gin"

_EXAMPLES = {
    "MODEL_DIR": "runs/my_model",
    "TRAIN_STEPS": "1000",
    "INITIAL_CHECKPOINT_PATH": "runs/clinical_base",
    "CHECKPOINT_PATH": "runs/clinical_base",
    "EVAL_OUTPUT_DIR": "runs/eval",
    "INFER_OUTPUT_DIR": "runs/infer",
    "MIXTURE_OR_TASK_NAME": "mimic_pretrain_v1",
    "DROPOUT_RATE": "0.1",
    "TASK_FEATURE_LENGTHS": "\"{'inputs': 512, 'targets': 114}\"",
    "MODEL_OUTPUT_DIR": "runs/export",
    "MODEL_NAME": "my_model",
    "TF_EXAMPLE_FILE_PATHS": "\"['examples.tfrecord']\"",
    "TF_EXAMPLE_FILE_TYPE": "tfrecord",
}


@dataclasses.dataclass(frozen=True)
class Configuration:
    """A checked configuration: what is bound in the end, and where.

    Attributes:
      macros: a macro's name to its last binding.
      parameters: (scope, identity of the configurable, parameter) to its last binding.
      reached: identities of the configurables that the program uses.
      notices: things to tell the user that are no errors.
      modules: what the gin files import.
    """

    macros: dict[str, Binding]
    parameters: dict[tuple[str, str, str], Binding]
    reached: frozenset[str]
    notices: tuple[str, ...]
    modules: frozenset[str] = frozenset()

    def value(self, value: Any) -> Any:
        """`value` with a macro replaced by what it stands for in the end."""
        for _ in range(len(self.macros) + 1):
            if not isinstance(value, Macro) or value.name not in self.macros:
                return value
            value = self.macros[value.name].value
        return value

    def macro(self, name: str) -> Any:
        """The value of macro `name`, or None when it is not defined."""
        return self.value(Macro(name)) if name in self.macros else None

    def bound(self, identity: str, parameter: str) -> list[Binding]:
        """The bindings of a configurable's parameter, one for each scope that has one."""
        return [
            binding
            for (_, owner, name), binding in self.parameters.items()
            if owner == identity and name == parameter
        ]


def program_meant(reading: Reading, program: Program) -> Program:
    """The program itself; for `precompile` with a training run's gin files, that run compiled."""
    bound = {binding.selector.rpartition(".")[2] for binding in reading.bindings}
    if program.entry == "precompile" and "precompile" not in bound and "train" in bound:
        return PRECOMPILE_RUN
    return program


def check(reading: Reading, program: Program) -> Configuration:
    """Check a configuration for `program`.

    Raises:
      UserError: with all that is wrong of one kind: unknown modules, names and parameters; then
        macros and parameters without a value; then macros that nothing uses.
    """
    symbols.forget()
    return _Check(reading, program).run()


class _Check:
    def __init__(self, reading: Reading, program: Program):
        self._reading, self._program = reading, program
        self._problems: list[str] = []
        self._names = Names(reading, self._problems.append)
        self._macros: dict[str, Binding] = {}
        self._parameters: dict[tuple[str, str, str], Binding] = {}
        self._reached: set[str] = set()

    def run(self) -> Configuration:
        self._names.check_imports()
        self._stop_on_problems()
        self._bind_all()
        self._stop_on_problems()
        self._check_entry_configured()
        self._walk()
        self._check_values()
        self._stop_on_problems()
        without_effect = self._without_effect()
        self._stop_on_problems()
        self._check_command_line_macros()
        self._stop_on_problems()
        notices = (
            *self._reading.notices,
            *self._absent_tasks(),
            *without_effect,
            *self._unreached(),
            *self._unused_in_files(),
        )
        modules = frozenset(found.module for found in self._reading.imports)
        reached = frozenset(self._reached)
        return Configuration(self._macros, self._parameters, reached, notices, modules)

    def _stop_on_problems(self) -> None:
        problems = list(dict.fromkeys(self._problems))
        if len(problems) > _MOST_SHOWN:
            left = len(problems) - _MOST_SHOWN
            problems = [*problems[:_MOST_SHOWN], f"and {left} more of the kind"]
        if problems:
            raise UserError("\n  ".join(problems))

    def _bind_all(self) -> None:
        for block in self._reading.blocks:
            self._names.meaning(block.selector, block)
        for binding in self._reading.bindings:
            if binding.is_macro:
                self._macros[binding.macro_name] = binding
            else:
                self._bind(binding)
            for leaf in iterate_leaves(binding.value):
                if isinstance(leaf, Reference):
                    self._names.meaning(leaf.name, binding)

    def _bind(self, binding: Binding) -> None:
        symbol = self._names.meaning(binding.selector, binding)
        if symbol is None:
            return
        self._parameters[binding.scope, _identity(symbol, binding.selector), binding.parameter] = (
            binding
        )
        if symbol.kind == "module":
            self._problems.append(
                f"{binding.place}: {binding.selector} is a module; name a class or function in it"
            )
        signature = symbol.signature
        if signature is None or signature.open_ended or binding.parameter in signature.parameters:
            return
        near = suggest(binding.parameter, signature.parameters)
        near = near or f"; it has {', '.join(signature.parameters) or 'no parameters'}"
        self._problems.append(
            f"{binding.place}: {binding.selector} has no parameter {binding.parameter}{near}"
        )

    def _check_entry_configured(self) -> None:
        """Some gin file must configure the program's function."""
        program, configured = self._program, {identity for _, identity, _ in self._parameters}
        if self._names.entry(program.entry).identity in configured:
            return
        entries = [other.entry for other in PROGRAMS.values()]
        others = [name for name in entries if self._names.entry(name).identity in configured]
        what = f"they configure {others[0]} instead" if others else "no run file is among them"
        raise UserError(
            f"the gin files do not configure {program.entry} ({what}); "
            f"add a run file, such as --gin_file={program.run_file}"
        )

    def _walk(self) -> None:
        """Follow macros and references from the program's function to all that it uses."""
        entry = self._names.entry(self._program.entry)
        self._check_required(entry, "", f"{self._program.script}.{self._program.entry}")
        waiting = [("", entry.identity)]
        seen = set(waiting)
        while waiting:
            scope, identity = waiting.pop()
            self._reached.add(identity)
            for binding in self._bindings_of(scope, identity):
                for reference, stands_in, outer in self._references(binding, scope):
                    symbol = self._names.meaning(reference.name, stands_in)
                    if symbol is None:
                        continue
                    inner = reference.scoped_name.rpartition("/")[0] or outer
                    found = (inner, _identity(symbol, reference.name))
                    if reference.called:
                        self._check_required(symbol, inner, reference.name)
                        self._check_can_be_built(symbol, reference, stands_in)
                    if found not in seen:
                        seen.add(found)
                        waiting.append(found)

    def _bindings_of(self, scope: str, identity: str) -> Iterator[Binding]:
        """Bindings that hold for a configurable, and for its methods, called in `scope`."""
        for (bound_scope, owner, _), binding in self._parameters.items():
            applies = not bound_scope or f"{scope}/".startswith(f"{bound_scope}/")
            if applies and (owner == identity or owner.startswith(f"{identity}.")):
                yield binding

    def _references(self, binding: Binding, scope: str) -> Iterator[tuple[Reference, Binding, str]]:
        """References in a binding's value: each with the binding it stands in, and its scope.

        gin evaluates a macro's value in a scope of the macro's name.
        """
        waiting, seen = [(binding, scope)], set()
        while waiting:
            current, current_scope = waiting.pop()
            for leaf in iterate_leaves(current.value):
                if isinstance(leaf, Reference):
                    yield leaf, current, current_scope
                elif isinstance(leaf, Macro) and leaf.name in self._macros.keys() - seen:
                    seen.add(leaf.name)
                    waiting.append((self._macros[leaf.name], leaf.name))

    def _check_required(self, symbol: Symbol, scope: str, name: str) -> None:
        """What gin calls gets its arguments from gin alone: those without default must be bound."""
        if symbol.signature is None:
            return
        bound = {b.parameter for b in self._bindings_of(scope, symbol.identity)}
        for parameter in symbol.signature.required:
            if parameter not in bound:
                full = f"{scope}/{name}" if scope else name
                self._problems.append(
                    f"{full}.{parameter} has no value; bind it in a gin file or with "
                    f"--gin.{full}.{parameter}=VALUE"
                )

    def _check_can_be_built(self, symbol: Symbol, reference: Reference, binding: Binding) -> None:
        reason = accepted.REFUSED.get(symbol.identity)
        if reason is not None:
            self._problems.append(f"{binding.place}: {reference.name} is not supported: {reason}")

    def _without_effect(self) -> list[str]:
        """What the gin files ask for that means nothing here, a line for each reason."""
        found: dict[str, list[str]] = {}
        for (_, identity, parameter), binding in self._parameters.items():
            if identity not in self._reached:
                continue
            entry = accepted.without_effect(identity, parameter)
            if entry is None or self._is_one_of(binding.value, entry.same):
                continue
            name = f"{binding.selector}.{parameter}"
            if entry.refused:
                self._problems.append(
                    f"{binding.place}: {name} is T5X's and not supported: {entry.reason}"
                )
            else:
                found.setdefault(entry.reason, []).append(name)
        return accepted.notices(found)

    def _unreached(self) -> Iterator[str]:
        """Bindings of this library's configurables that no reference leads to.

        gin applies a function's bindings where a reference calls it, not where it is the default of
        a parameter: `decoding.beam_search.alpha` means nothing until `decode_fn` is bound.
        """
        for (_, identity, parameter), binding in self._parameters.items():
            if not identity.startswith("clinical_t5x."):
                continue  # others' code may call a function through gin by itself
            if not any(f"{identity}.".startswith(f"{owner}.") for owner in self._reached):
                yield (
                    f"{binding.selector}.{parameter} ({binding.place}) has no effect: "
                    f"nothing refers to @{binding.selector}"
                )

    def _absent_tasks(self) -> Iterator[str]:
        modules = dict.fromkeys(found.module for found in self._reading.imports)
        for module in filter(absent_tasks.is_absent, modules):
            yield f"{module} is not installed: the tasks that it registers are not known"

    def _is_one_of(self, value: Any, same: tuple[Any, ...]) -> bool:
        """Whether a bound value is among literals, and references written as "@Name"."""
        for _ in range(len(self._macros) + 1):
            if not isinstance(value, Macro) or value.name not in self._macros:
                break
            value = self._macros[value.name].value
        if isinstance(value, Reference):
            return f"@{value.name.rpartition('.')[2]}" in same
        return any(type(value) is type(other) and value == other for other in same)

    def _check_values(self) -> None:
        for name, binding in sorted(self._macros.items()):
            if binding.value == REQUIRED:
                self._problems.append(
                    f"{name} has no value ({binding.place} requires one); set it in a gin file or "
                    f"with --gin.{name}={_EXAMPLES.get(name, 'VALUE')}"
                )
        for (scope, _, parameter), binding in self._parameters.items():
            if binding.value == REQUIRED:
                name = f"{scope}/{binding.selector}" if scope else binding.selector
                self._problems.append(
                    f"{name}.{parameter} has no value ({binding.place} requires one); set it with "
                    f"--gin.{name}.{parameter}=VALUE"
                )
        for name, place in self._mentioned_macros().items():
            if name not in self._macros and not name.startswith("gin."):
                near = suggest(name, self._macros)
                advice = near or f"; set it with --gin.{name}={_EXAMPLES.get(name, 'VALUE')}"
                if name == "MODEL":
                    advice = f"; name a model's gin file first, such as --gin_file={_MODEL_FILE}"
                self._problems.append(f"{place}: the macro {name} is not defined{advice}")

    def _mentioned_macros(self) -> dict[str, Place]:
        """Macros in bindings that hold in the end, whether or not the program reaches them."""
        mentioned: dict[str, Place] = {}
        for binding in (*self._parameters.values(), *self._macros.values()):
            for leaf in iterate_leaves(binding.value):
                if isinstance(leaf, Macro) and leaf != REQUIRED:
                    mentioned.setdefault(leaf.name, binding.place)
        return mentioned

    def _check_command_line_macros(self) -> None:
        """gin accepts a misspelt macro in silence; on the command line it is always a mistake."""
        mentioned = self._mentioned_macros()
        for name, binding in self._macros.items():
            if name not in mentioned and binding.place.file == COMMAND_LINE:
                near = suggest(name, sorted(mentioned), cutoff=0.5) or "; no gin file uses it"
                self._problems.append(f"--gin.{name}: there is no macro of this name{near}")

    def _unused_in_files(self) -> Iterator[str]:
        """A macro of a file that nothing uses and that looks like a used one is a misspelling."""
        mentioned = self._mentioned_macros()
        for name, binding in self._macros.items():
            if name in mentioned or name in _MAY_BE_UNUSED:
                continue
            near = suggest(name, sorted(mentioned), cutoff=0.8)
            if near:
                raise UserError(f"{binding.place}: nothing uses the macro {name}{near}")
            yield f"{binding.place}: nothing uses the macro {name}"


def _identity(symbol: Symbol, selector: str) -> str:
    """What makes a configurable itself; the selector where source could not tell."""
    return symbol.identity or selector
