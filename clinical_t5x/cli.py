"""`clinical-t5x VERB ...`: every command of the package under one name.

`clinical-t5x train --gin_file=...` is `python -m clinical_t5x.train --gin_file=...`.
"""

from __future__ import annotations

import difflib
import runpy
import sys
from importlib import util

from clinical_t5x import __version__, console

# In the order of the way of the data; a verb is the module of the same name, but for MODULES.
VERBS = {
    "synthetic": "write a synthetic PhysioNet: no credential needed",
    "prepare": "turn raw notes into a clean corpus, benchmarks into data sets",
    "prepare_beam": "the same up to exact de-duplication on many machines (Apache Beam)",
    "vocabulary": "learn a vocabulary from the corpus, compare vocabularies",
    "tokenize": "write a task's token stores, so that training need not",
    "subset": "show which units a fraction or fold of a benchmark holds",
    "train": "pre-train or fine-tune, as gin files say",
    "eval": "score a checkpoint on a benchmark",
    "infer": "write a checkpoint's predictions",
    "export": "make a checkpoint a program of its own (StableHLO)",
    "precompile": "compile a training run's step before the run",
    "majority": "score the answers that need no model",
    "finetune": "fine-tune an encoder or decoder of Hugging Face on a benchmark",
    "prompt": "ask a model or a server, with examples in the prompt (in-context learning)",
    "grid": "models x tasks x fractions x seeds: many runs, a low-resource curve",
    "report": "make tables and charts of results",
    "models": "the models to compare: where they are, how to run them, what was published",
    "cost": "FLOPs, break-even, chip-hours and prices of models",
    "browse": "look at predictions beside gold, on a page of your own",
    "convert": "convert checkpoints from and to Hugging Face and T5X",
    "plan": "say what a run needs in memory and time",
    "demo": "the whole way on synthetic data, in minutes",
}

# clinical_t5x.models is the package of networks.
MODULES = {"models": "model_list"}


def main() -> None:
    """Run the verb that the command line names; exit as its command does."""
    arguments = sys.argv[1:]
    first = arguments[0] if arguments else "--help"
    if first in ("-h", "--help", "help"):
        console.say(_help())
        sys.exit(console.EXIT_DONE if arguments else console.EXIT_USAGE)
    if first == "--version":
        console.say(f"clinical_t5x {__version__}")
        sys.exit(console.EXIT_DONE)
    first = first.replace("-", "_")
    if first not in _available():
        console.run_command(_refuse, arguments)
    sys.argv = [f"clinical-t5x {first}", *arguments[1:]]
    runpy.run_module(module_of(first), run_name="__main__", alter_sys=True)


def module_of(verb: str) -> str:
    """The module that is a verb's command."""
    return f"clinical_t5x.{MODULES.get(verb, verb)}"


def _available() -> dict[str, str]:
    """The verbs of this installation."""
    return {verb: line for verb, line in VERBS.items() if util.find_spec(module_of(verb))}


def _refuse(arguments: list[str]) -> int:
    near = difflib.get_close_matches(arguments[0], _available(), n=1)
    advice = f"did you mean {near[0]}?" if near else f"there are {', '.join(_available())}"
    raise console.UserError(f"no command {arguments[0]!r}; {advice}")


def _help() -> str:
    verbs = [f"  {verb:<14}{line}" for verb, line in _available().items()]
    return "\n".join(
        [
            "usage: clinical-t5x VERB [options]; clinical-t5x VERB --help says more",
            "",
            *verbs,
            "",
            "--version prints the version; every verb is also python -m clinical_t5x.VERB",
            "(but models: python -m clinical_t5x.model_list)",
        ]
    )


if __name__ == "__main__":
    main()
