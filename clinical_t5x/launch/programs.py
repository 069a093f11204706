"""The programs that gin files configure: their entry functions under T5X's `__main__` names.

T5X's gin files say `import __main__ as train_script`; the names that this finds are listed here
and put on `__main__` while a configuration is in force, whatever program is running.
"""

from __future__ import annotations

import contextlib
import dataclasses
import importlib
import sys
from collections.abc import Callable, Iterator
from typing import Any

from clinical_t5x.console import UserError


@dataclasses.dataclass(frozen=True)
class Program:
    """One of train, eval, infer, export, precompile.

    entry: name of the function that gin configures, as gin files call it.
    script: what T5X's files call the module of that function; an alias of `__main__`, or a module.
    run_file: T5X's gin file that configures the function.
    output: the macro that says where results go.
    arguments: what the function gets besides what gin binds.
    """

    verb: str
    entry: str
    script: str
    run_file: str
    output: str
    arguments: dict[str, Any] = dataclasses.field(default_factory=dict)


_RUNS = "t5x/configs/runs"
PROGRAMS = {
    "train": Program("train", "train", "train_script", f"{_RUNS}/pretrain.gin", "MODEL_DIR"),
    "eval": Program("eval", "evaluate", "eval_script", f"{_RUNS}/eval.gin", "EVAL_OUTPUT_DIR"),
    "infer": Program("infer", "infer", "infer_script", f"{_RUNS}/infer.gin", "INFER_OUTPUT_DIR"),
    "export": Program("export", "save", "export_lib", f"{_RUNS}/export.gin", "MODEL_OUTPUT_DIR"),
    "precompile": Program(
        "precompile", "precompile", "train_script", f"{_RUNS}/precompile.gin", "MODEL_DIR"
    ),
}

# `precompile` of a training run's own gin files, which is the run itself up to its compilation.
PRECOMPILE_RUN = dataclasses.replace(
    PROGRAMS["train"], verb="precompile", arguments={"compile_only": True}
)

# Names that gin files may find on `__main__`: the module and attribute behind each.
MAIN_NAMES = {
    "train": ("clinical_t5x.training.train", "train"),
    "evaluate": ("clinical_t5x.training.evaluate", "evaluate"),
    "infer": ("clinical_t5x.training.infer", "infer"),
    "precompile": ("clinical_t5x.training.precompile", "precompile"),
    "create_task_from_tfexample_file": (
        "clinical_t5x.data.tfexample_task",
        "create_task_from_tfexample_file",
    ),
}

# The programs' functions: those above, and one that gin files reach by the module t5x.export_lib.
_FUNCTIONS = {**MAIN_NAMES, "save": ("clinical_t5x.export.saving", "save")}


def program_named(verb: str) -> Program:
    """The program `verb`.

    Raises:
      UserError: there is no such program.
    """
    if verb not in PROGRAMS:
        raise UserError(f"no program {verb!r}; there are {', '.join(PROGRAMS)}")
    return PROGRAMS[verb]


def entry_place(name: str) -> tuple[str, str]:
    """The module and attribute of a program's function, by the name of the function."""
    return _FUNCTIONS[name]


def entry_function(program: Program) -> Callable:
    """The function that `program` runs, imported."""
    module, attribute = entry_place(program.entry)
    return getattr(importlib.import_module(module), attribute)


@contextlib.contextmanager
def names_on_main() -> Iterator[None]:
    """Put the entry functions on `__main__` inside the block.

    gin resolves `__main__` both when it parses a file and when it writes its operative
    configuration, so the block spans the run. `__main__` itself stays in place: pickling and
    multiprocessing of the calling program go on working.
    """
    main = sys.modules["__main__"]
    absent = object()
    before = {name: main.__dict__.get(name, absent) for name in MAIN_NAMES}
    for name, (module, attribute) in MAIN_NAMES.items():
        setattr(main, name, getattr(importlib.import_module(module), attribute))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is absent:
                delattr(main, name)
            else:
                setattr(main, name, value)
