"""Google T5X's own gin files, unmodified, under this project: read, built, run.

    python benchmarks/t5x_gin_files.py --t5x CHECKOUT --write docs/t5x_gin_files.md
    python benchmarks/t5x_gin_files.py --t5x CHECKOUT --only mt5 --no_runs

CHECKOUT is a checkout of google-research/t5x; its files are read where they lie. Every file is read
with the other files that it needs, and with an override file as a person without access to Google's
buckets would write it: a byte vocabulary, the toy task of `toy_task.py`, the macros that the files
require. "built" means that gin made every object of the program: model with the shapes of all
parameters, optimizer with its memory, schedule, mesh, data sets' configurations. "run" is the
program itself: for training files at the size of T5X's `tiny` models, 2 steps.

With --python, an interpreter in whose environment T5X can be imported, the recipes of gin/ are also
read by Google's T5X.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import io
import json
import logging
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from t5x_gin_page import page

from clinical_t5x import console

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
RUNS = "t5x/configs/runs"
TINY = "t5x/examples/t5/t5_1_1/tiny.gin"
_TINY_SIZES = {
    "emb_dim": 8,
    "num_heads": 4,
    "num_encoder_layers": 2,
    "num_decoder_layers": 2,
    "head_dim": 3,
    "mlp_dim": 16,
}
_ENTRIES = {
    "train_script.train": "train",
    "eval_script.evaluate": "eval",
    "infer_script.infer": "infer",
    "export_lib.save": "export",
    "train_script.precompile": "precompile",
}
# What a file leaves out that T5X itself asks for: it stops at the missing argument as well.
_LEFT_OUT = {
    "t5x/examples/t5/t5_1_1/examples/base_wmt_eval.gin": [
        "from t5x import partitioning",
        "import __main__ as eval_script",
        "eval_script.evaluate.partitioner = @partitioning.PjitPartitioner()",
    ]
}
_ENTRY_IMPORTS = (
    "import __main__ as train_script",
    "import __main__ as eval_script",
    "import __main__ as infer_script",
    "from t5x import export_lib",
)
_OUTPUT = {
    "eval": "eval_script.evaluate.output_dir",
    "infer": "infer_script.infer.output_dir",
    "precompile": "train_script.precompile.model_dir",
    "export": "export_lib.save.output_dir",
}
_STEPS = 2  # of every training run


@dataclasses.dataclass
class Case:
    """One gin file and what is read with it.

    Attributes:
      file: its path in the checkout.
      files: all files, in order.
      verb: the program that they configure.
      is_recipe: whether the file itself configures a program, not a model.
      has_module: whether a macro names the module that registers the task.
    """

    file: str
    files: list[str]
    verb: str = ""
    is_recipe: bool = True
    has_module: bool = False


@dataclasses.dataclass
class Outcome:
    """What came of a case; an empty string is no error."""

    case: Case
    supplied: list[str]
    read: str = ""
    built: str = ""
    run: str = ""
    note: str = ""


def main() -> None:
    options = _options()
    console.quiet_third_parties()
    logging.disable(logging.WARNING)
    checkout = options.t5x.resolve()
    cases = [case for case in all_cases(checkout) if options.only in case.file]
    with tempfile.TemporaryDirectory() as scratch:
        bench = Bench(checkout, Path(scratch), runs=not options.no_runs)
        outcomes = []
        for case in cases:
            outcome = bench.outcome(case)
            print(_line(outcome), flush=True)
            outcomes.append(outcome)
    recipes = read_by_google(checkout, options.python) if options.python else None
    for name, problem in (recipes or {}).items():
        print(f"Google's T5X reads {name}: {problem or 'yes'}")
    failed = [o for o in outcomes if o.read != "yes" or "no:" in o.built or "no:" in o.run]
    failed += [problem for problem in (recipes or {}).values() if problem]
    print(f"{len(outcomes)} files, {len(failed)} with a problem")
    if options.write:
        options.write.write_text(page(outcomes, recipes, checkout, _STEPS))
    sys.exit(1 if failed else 0)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--t5x", required=True, type=Path, help="a checkout of T5X")
    parser.add_argument("--python", help="interpreter of an environment that can import T5X")
    parser.add_argument("--only", default="", help="files whose path contains this")
    parser.add_argument("--no_runs", action="store_true", help="read and build only")
    parser.add_argument("--write", type=Path, help="write the table as a page of the docs")
    return parser.parse_args()


def all_cases(checkout: Path) -> list[Case]:
    """Every gin file of the T5 examples and run configurations, with what it is read with."""
    found = [*(checkout / "t5x/examples/t5").rglob("*.gin"), *(checkout / RUNS).glob("*.gin")]
    cases = []
    for path in sorted(found):
        file = path.relative_to(checkout).as_posix()
        case = Case(file, [file])
        if file.startswith(RUNS):
            case.files = [TINY, file]
        elif file.endswith("local_tiny.gin"):
            case.files = ["t5x/examples/t5/t5_1_1/small.gin", f"{RUNS}/pretrain.gin", file]
        elif "/examples/t5_1_1/examples/" not in file and "/t5_1_1/examples/" not in file:
            case.files, case.is_recipe = [file, f"{RUNS}/pretrain.gin"], False
        _note_content(case, checkout)
        cases.append(case)
    return cases


def _note_content(case: Case, checkout: Path) -> None:
    from clinical_t5x.launch.gin_reading import read_configuration
    from clinical_t5x.launch.search_path import SearchPath

    reading = read_configuration(case.files, [], SearchPath([checkout]))
    selectors = {binding.selector for binding in reading.bindings}
    case.verb = next(verb for name, verb in _ENTRIES.items() if name in selectors)
    case.has_module = "MIXTURE_OR_TASK_MODULE" in selectors


class Bench:
    """Reads, builds and runs cases; keeps one trained tiny model for those that need one."""

    def __init__(self, checkout: Path, scratch: Path, *, runs: bool):
        self._checkout, self._scratch, self._runs = checkout, scratch, runs
        self._checkpoint: Path | None = None

    def outcome(self, case: Case) -> Outcome:
        """Do all of a case."""
        outcome = Outcome(case, [])
        required = self._required(case)
        outcome.supplied = sorted(required) + (["partitioner"] if case.file in _LEFT_OUT else [])
        override = self._write_override(case, required, shrink=False)
        outcome.read, notices = self._read(case, override)
        if outcome.read == "yes":
            outcome.built = self._build(case, override)
            outcome.note = "; ".join(notices)
        if self._runs and "no:" not in outcome.built and self._is_small(case):
            shrunk = self._write_override(case, required, shrink=True)
            outcome.run = self._run(case, shrunk)
        return outcome

    @staticmethod
    def _is_small(case: Case) -> bool:
        return case.is_recipe or case.file.endswith("/tiny.gin")

    def _required(self, case: Case) -> dict[str, Any]:
        """Values for the macros that the files require or use and do not define."""
        from clinical_t5x.launch.gin_reading import REQUIRED, Macro, iterate_leaves
        from clinical_t5x.launch.gin_reading import read_configuration as read
        from clinical_t5x.launch.search_path import SearchPath

        reading = read(case.files, [], SearchPath([self._checkout]))
        final = {b.macro_name: b.value for b in reading.bindings if b.is_macro}
        used = {
            leaf.name
            for binding in reading.bindings
            for leaf in iterate_leaves(binding.value)
            if isinstance(leaf, Macro) and leaf != REQUIRED
        }
        missing = {name for name, value in final.items() if value == REQUIRED}
        missing |= used - final.keys()
        values = self._values()
        return {name: values[name] for name in missing}

    def _values(self) -> dict[str, Any]:
        output = str(self._scratch / "output")
        checkpoint = str(self._checkpoint or self._scratch / "checkpoint")
        return {
            "BATCH_SIZE": 8,
            "CHECKPOINT_PATH": checkpoint,
            "INITIAL_CHECKPOINT_PATH": checkpoint,
            "DROPOUT_RATE": 0.1,
            "EVAL_OUTPUT_DIR": output,
            "INFER_OUTPUT_DIR": output,
            "MODEL_DIR": output,
            "MODEL_NAME": "tiny",
            "MODEL_OUTPUT_DIR": output,
            "FEATURE_LENGTHS": {"inputs": 32, "targets": 32},
            "TASK_FEATURE_LENGTHS": {"inputs": 32, "targets": 32},
            "MIXTURE_OR_TASK_MODULE": "toy_task",
            "MIXTURE_OR_TASK_NAME": "repeat_words",
            "TF_EXAMPLE_FILE_PATHS": [str(self._scratch / "examples.tfrecord")],
            "TF_EXAMPLE_FILE_TYPE": "tfrecord",
            "TRAIN_STEPS": _STEPS,
            "USE_CACHED_TASKS": False,
        }

    def _write_override(self, case: Case, required: dict[str, Any], *, shrink: bool) -> Path:
        """A gin file after all others: vocabulary, task, required macros; small sizes for a run."""
        lines = ["from __gin__ import dynamic_registration", "import seqio", "import toy_task"]
        lines += ["VOCABULARY = @seqio.ByteVocabulary()"]
        macros = {name: self._values()[name] for name in required}
        if case.verb != "infer" or "tfexample" not in case.file:
            macros |= {"MIXTURE_OR_TASK_NAME": "repeat_words"}
            macros |= {"MIXTURE_OR_TASK_MODULE": "toy_task"} if case.has_module else {}
        lines += [f"{name} = {value!r}" for name, value in macros.items()]
        lines += _LEFT_OUT.get(case.file, [])
        if shrink:
            lines += self._shrunk(case)
        path = self._scratch / "override.gin"
        path.write_text("\n".join(lines) + "\n")
        return path

    def _shrunk(self, case: Case) -> list[str]:
        """Bindings that make a run small enough for a test, on top of the file's own."""
        lines = ["from t5x.examples.t5 import network", "from t5x import utils"]
        lines += [f"network.T5Config.{name} = {value}" for name, value in _TINY_SIZES.items()]
        output = str(self._scratch / f"run_{time.monotonic_ns()}")
        if case.verb == "train":
            lines += ["import __main__ as train_script"]
            steps = 2 * _STEPS if self._checkpoint else _STEPS
            settings = {"total_steps": steps, "eval_steps": 1, "eval_period": _STEPS}
            settings |= {"stats_period": 1, "model_dir": output}
            lines += [f"train_script.train.{k} = {v!r}" for k, v in settings.items()]
            for scope in ("train", "train_eval", "infer_eval"):
                lines.append(f"{scope}/utils.DatasetConfig.batch_size = 8")
            lengths = "{'inputs': 32, 'targets': 32}"
            lines += [f"{s}/utils.DatasetConfig.task_feature_lengths = {lengths}" for s in _FIXED]
            lines.append(f"utils.SaveCheckpointConfig.period = {_STEPS}")
        else:
            lines += [*_ENTRY_IMPORTS, f"{_OUTPUT[case.verb]} = {output!r}"]
            scope = "train/" if case.verb == "precompile" else ""
            if case.verb == "export":
                lines.append("utils.RestoreCheckpointConfig.dtype = 'float32'")
            else:
                lines.append(f"{scope}utils.DatasetConfig.batch_size = 8")
        if case.verb in ("eval", "infer", "export") or "finetune" in " ".join(case.files):
            lines.append(f"utils.RestoreCheckpointConfig.path = {str(self._checkpoint)!r}")
        return lines

    def _read(self, case: Case, override: Path) -> tuple[str, list[str]]:
        """Check statically, as every command does before anything else."""
        from clinical_t5x.launch import facade, static_check
        from clinical_t5x.launch.gin_reading import read_configuration
        from clinical_t5x.launch.programs import program_named
        from clinical_t5x.launch.search_path import SearchPath

        facade.provide()
        try:
            reading = read_configuration(
                [*case.files, str(override)], [], SearchPath([self._checkout])
            )
            configuration = static_check.check(reading, program_named(case.verb))
        except console.UserError as error:
            return f"no: {error}", []
        return "yes", list(configuration.notices)

    def _asked(self, case: Case, override: Path) -> dict[str, Any]:
        return {
            "gin_files": [*case.files, str(override)],
            "search_paths": [str(self._checkout)],
            "data_dir": self._scratch / "data",
        }

    def _build(self, case: Case, override: Path) -> str:
        """Let gin make the program's arguments, and the trainer its shapes."""
        from clinical_t5x.launch.program import built_arguments

        write_examples(self._scratch)
        try:
            with built_arguments(case.verb, **self._asked(case, override)) as arguments:
                return describe(arguments)
        except Exception as error:
            return f"no: {type(error).__name__}: {error}"

    def _run(self, case: Case, override: Path) -> str:
        """Run the program; what it prints is kept for errors."""
        from clinical_t5x.launch.program import run_program

        if self._checkpoint is None:
            self._checkpoint = self._train_tiny()
            override = self._write_override(case, self._required(case), shrink=True)
        begun = time.monotonic()
        try:
            with contextlib.redirect_stdout(io.StringIO()), _quiet_stderr():
                run_program(case.verb, **self._asked(case, override))
        except Exception as error:
            return f"no: {type(error).__name__}: {error}"
        return f"yes ({time.monotonic() - begun:.0f} s)"

    def _train_tiny(self) -> Path:
        """A checkpoint of T5X's tiny model after `_STEPS` steps of its pretrain.gin."""
        from clinical_t5x.launch.program import run_program

        file = f"{RUNS}/pretrain.gin"
        case = Case(file, [TINY, file], "train")
        override = self._write_override(case, self._required(case), shrink=True)
        with contextlib.redirect_stdout(io.StringIO()), _quiet_stderr():
            run_program("train", **self._asked(case, override))
        match = re.search(r"train.model_dir = '(.*)'", override.read_text())
        return Path(match.group(1)) / f"checkpoint_{_STEPS}"


# Data sets whose lengths a run sets; decoded evaluation measures its own.
_FIXED = ("train", "train_eval")


def write_examples(directory: Path) -> None:
    """A file of tf.train.Examples with a text each."""
    import tensorflow as tf

    with tf.io.TFRecordWriter(str(directory / "examples.tfrecord")) as writer:
        for text in ("chest drain", "fever", "blood gland heart"):
            feature = tf.train.Feature(bytes_list=tf.train.BytesList(value=[text.encode()]))
            example = tf.train.Example(features=tf.train.Features(feature={"inputs": feature}))
            writer.write(example.SerializeToString())


def describe(arguments: dict[str, Any]) -> str:
    """Count the parameters of the model that gin built; with a trainer, of its memory too."""
    import jax

    model = arguments["model"]
    shapes = model.abstract_params()
    count = sum(leaf.size for leaf in jax.tree.leaves(shapes))
    text = f"{count:,}"
    if "trainer_cls" in arguments:
        from clinical_t5x.training import runtime

        trainer = arguments["trainer_cls"](
            model=model,
            train_state=None,
            partitioner=arguments["partitioner"],
            eval_names=(),
            summary_dir=None,
            train_state_axes=None,
            rng=runtime.random_key(0, runtime.DROPOUT_STREAM),
        )
        memory = jax.tree.leaves(trainer.abstract_state.opt_state)
        text += f" / {sum(leaf.size for leaf in memory):,}"
        trainer.learning_rate(0)
    return text


@contextlib.contextmanager
def _quiet_stderr() -> Iterator[None]:
    kept = os.dup(2)
    with open(os.devnull, "w") as nowhere:
        os.dup2(nowhere.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(kept, 2)
            os.close(kept)


_GOOGLE = """
import json, sys
import gin
from t5x import eval as eval_script, infer as infer_script, train as train_script, utils
import t5x
main = sys.modules["__main__"]
main.train, main.evaluate, main.infer = train_script.train, eval_script.evaluate, infer_script.infer
found = {}
for name, files, bindings in json.load(sys.stdin):
    gin.clear_config()
    try:
        gin.parse_config_files_and_bindings(files, bindings)
        found[name] = ""
    except Exception as error:
        found[name] = f"{type(error).__name__}: {str(error).splitlines()[0]}"
print(json.dumps({"t5x": t5x.__file__, "found": found}))
"""


def read_by_google(checkout: Path, python: str) -> dict[str, str]:
    """Read our recipes by Google's T5X, each with the files of its own documented command.

    Returns:
      By recipe: an empty string, or what went wrong.
    """
    asked = []
    for path in sorted((ROOT / "gin").glob("*.gin")):
        if "clinical_t5x only" in path.read_text():
            continue
        text = " ".join(line.lstrip("# ") for line in path.read_text().splitlines() if "#" in line)
        command = text[text.index("Command:") : text.index("Hardware:")]
        given = re.findall(r"--gin\.(\w+)=", command)
        bindings = [f"{name} = 'x'" for name in given]
        asked.append((path.name, re.findall(r"--gin_file=(\S+)", command), bindings))
    places = [str(checkout), str(ROOT), os.environ.get("PYTHONPATH", "")]
    environment = {"PYTHONPATH": os.pathsep.join(filter(None, places)), "JAX_PLATFORMS": "cpu"}
    result = subprocess.run(
        [python, "-c", _GOOGLE],
        input=json.dumps(asked),
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    if result.returncode:
        raise SystemExit(f"{python} cannot import T5X: {result.stderr.strip().splitlines()[-1]}")
    answer = json.loads(result.stdout.strip().splitlines()[-1])
    if not Path(answer["t5x"]).is_relative_to(checkout):
        raise SystemExit(f"{python} imported {answer['t5x']}, which is not in {checkout}")
    return answer["found"]


def _line(outcome: Outcome) -> str:
    parts = [f"read {outcome.read}", f"built {outcome.built}"]
    parts += [f"run {outcome.run}"] if outcome.run else []
    return f"{outcome.case.file}: {'; '.join(parts)}"


if __name__ == "__main__":
    main()
