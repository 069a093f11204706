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

from clinical_t5x.console import UserError


@dataclasses.dataclass(frozen=True)
class Program:
    """One of train, eval, infer.

    entry: name of the function that gin configures, as gin files call it.
    script: the alias that T5X's files give to `__main__`.
    run_file: T5X's gin file that configures the function.
    """

    verb: str
    entry: str
    script: str
    run_file: str


PROGRAMS = {
    "train": Program("train", "train", "train_script", "t5x/configs/runs/pretrain.gin"),
    "eval": Program("eval", "evaluate", "eval_script", "t5x/configs/runs/eval.gin"),
    "infer": Program("infer", "infer", "infer_script", "t5x/configs/runs/infer.gin"),
}

# Names that gin files may find on `__main__`: the module and attribute behind each.
MAIN_NAMES = {
    "train": ("clinical_t5x.training.train", "train"),
    "evaluate": ("clinical_t5x.training.evaluate", "evaluate"),
    "infer": ("clinical_t5x.training.infer", "infer"),
}


def program_named(verb: str) -> Program:
    """The program `verb`.

    Raises:
      UserError: there is no such program.
    """
    if verb not in PROGRAMS:
        raise UserError(f"no program {verb!r}; there are {', '.join(PROGRAMS)}")
    return PROGRAMS[verb]


def entry_function(program: Program) -> Callable:
    """The function that `program` runs, imported."""
    module, attribute = MAIN_NAMES[program.entry]
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
