"""Data, vocabularies and checkpoints that a run lacks, said before JAX is imported.

Looks at what the data home holds on disk; whether its content fits is for the run itself.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from typing import Any

from etils import epath

from clinical_t5x.console import UserError
from clinical_t5x.data.tfexample_task import FILE_TYPES
from clinical_t5x.interop import layouts
from clinical_t5x.launch import absent_tasks
from clinical_t5x.launch.gin_reading import Binding
from clinical_t5x.launch.static_check import Configuration
from clinical_t5x.storage import data_home, is_complete

_VOCABULARY = "clinical_t5x.data.vocabulary:ClinicalVocabulary"
_DATASET_CONFIG = "clinical_t5x.training.config:DatasetConfig"
_RESTORE_CONFIG = "clinical_t5x.training.config:RestoreCheckpointConfig"
_EXAMPLES_TASK = "clinical_t5x.data.tfexample_task:create_task_from_tfexample_file"
_CORPUS_TASK = "tasks.pretrain:register"
_DEFAULT_NAME = "clinical"

# The TFDS data set that each of this project's task modules reads.
_DATA_SETS = {
    "tasks.pretrain": "clinical_notes",
    "tasks.mednli": "mednli",
    "tasks.radqa": "radqa",
    "tasks.clip": "clip",
    "tasks.bionlp19": "mednli_bionlp19",
}

_MAKE_DATA = """Make it from the PhysioNet files in DIR:
    python -m clinical_t5x.prepare --physionet DIR --data_dir {home}
  without a credential, synthetic files take their place:
    python -m clinical_t5x.synthetic --out DIR --patients 2000 --seed 0"""
_MAKE_CORPUS = """Make it from the notes in FILE:
    python -m clinical_t5x.prepare --notes FILE --name {name} --data_dir {home}"""
_MAKE_VOCABULARY = """Make it from the prepared corpus:
    python -m clinical_t5x.vocabulary --data_dir {home}"""


def check_inputs(configuration: Configuration, tfds_data_dir: str | None = None) -> None:
    """Check that the task modules, data sets, vocabularies and checkpoints of a run exist.

    Args:
      configuration: of a program that is about to run.
      tfds_data_dir: where TFDS data sets lie when not in the data home.

    Raises:
      UserError: something is missing; the message has the commands that make it.
    """
    _check_task_package(configuration)
    _check_examples(configuration)
    corpus = _bound_value(configuration, _CORPUS_TASK, "corpus") or _DEFAULT_NAME
    for module, binding in _task_modules(configuration):
        _check_module(module, binding)
        if module in _DATA_SETS:
            _check_data_set(_DATA_SETS[module], corpus, module, tfds_data_dir)
    if _VOCABULARY in configuration.reached:
        _check_vocabulary(configuration)
    _check_checkpoint(configuration)


def _check_task_package(configuration: Configuration) -> None:
    """Say early that a task comes from a package that is not installed."""
    name = configuration.macros.get("MIXTURE_OR_TASK_NAME")
    if name is None:
        return
    for module in filter(absent_tasks.is_absent, name.symbols.modules.values()):
        raise UserError(
            f"{name.place}: the task {name.value!r} is one of {module}, which is not installed; "
            "name another with --gin.MIXTURE_OR_TASK_NAME=... and the module that registers it "
            "with --gin.MIXTURE_OR_TASK_MODULE=..."
        )


def _check_examples(configuration: Configuration) -> None:
    """Say early that files of tf.train.Examples are of a kind that has no public reader."""
    kind = _bound_value(configuration, _EXAMPLES_TASK, "file_type")
    if kind not in (None, *FILE_TYPES):
        raise UserError(
            f"TF_EXAMPLE_FILE_TYPE = {kind!r} cannot be read: only 'tfrecord' has a public "
            "reader; write the examples as TFRecords"
        )


def _bound_value(configuration: Configuration, identity: str, parameter: str) -> Any:
    """The value of a parameter of a configurable that the program uses, or None."""
    if identity not in configuration.reached:
        return None
    values = [configuration.value(b.value) for b in configuration.bound(identity, parameter)]
    return values[-1] if values else None


def _task_modules(configuration: Configuration) -> Iterator[tuple[str, Binding]]:
    seen = set()
    for binding in configuration.bound(_DATASET_CONFIG, "module"):
        module = configuration.value(binding.value)
        if isinstance(module, str) and module not in seen:
            seen.add(module)
            yield module, configuration.macros.get("MIXTURE_OR_TASK_MODULE", binding)


def _check_module(module: str, binding: Binding) -> None:
    top = module.split(".")[0]
    try:
        found = importlib.util.find_spec(top)
    except (ImportError, ValueError):
        found = None
    if found is None:
        raise UserError(
            f"{binding.place}: the task module {module} cannot be imported: there is no {top} on "
            "Python's path; run from the clone, or give MIXTURE_OR_TASK_MODULE another module"
        )


def _check_data_set(name: str, corpus: str, module: str, tfds_data_dir: str | None) -> None:
    home = data_home()
    folder = (epath.Path(tfds_data_dir) if tfds_data_dir else home / "tfds") / name
    advice = _MAKE_DATA
    if module == "tasks.pretrain" and corpus != _DEFAULT_NAME:
        folder, advice = folder / corpus, _MAKE_CORPUS
    if not any(folder.glob("*/dataset_info.json")):
        raise UserError(
            f"no data set {folder.name} (for {module}) in {folder}. "
            f"{advice.format(home=home, name=corpus)}"
        )


def _check_vocabulary(configuration: Configuration) -> None:
    file = _bound_value(configuration, _VOCABULARY, "sentencepiece_model_file")
    if file is not None:
        if not epath.Path(file).expanduser().exists():
            raise UserError(f"no vocabulary file {file}; check sentencepiece_model_file")
        return
    name = _bound_value(configuration, _VOCABULARY, "name") or _DEFAULT_NAME
    home = data_home()
    if not is_complete(home / "vocabularies" / name):
        advice = _MAKE_VOCABULARY.format(home=home)
        option = "" if name == _DEFAULT_NAME else f" --corpus {name} --name {name}"
        raise UserError(f"no vocabulary {name} in {home / 'vocabularies' / name}. {advice}{option}")


def missing_vocabularies(configuration: Configuration) -> list[str]:
    """Names of the data home's vocabularies that a program uses and that are not there."""
    if _VOCABULARY not in configuration.reached:
        return []
    if _bound_value(configuration, _VOCABULARY, "sentencepiece_model_file") is not None:
        return []
    named = [configuration.value(b.value) for b in configuration.bound(_VOCABULARY, "name")]
    wanted = dict.fromkeys(name for name in named or [_DEFAULT_NAME] if isinstance(name, str))
    return [name for name in wanted if not is_complete(data_home() / "vocabularies" / name)]


def _check_checkpoint(configuration: Configuration) -> None:
    """Look whether a named checkpoint is there at all; buckets are left to the run."""
    named = _bound_value(configuration, _RESTORE_CONFIG, "path")
    named = [named] if isinstance(named, str) else list(named or [])
    if not named or not all(isinstance(path, str) and "://" not in path for path in named):
        return
    may_lack = _bound_value(configuration, _RESTORE_CONFIG, "fallback_to_scratch")
    if may_lack or _has_begun(configuration):
        return
    there = [path for path in named if epath.Path(path).expanduser().exists()]
    if not there:
        raise UserError(
            f"checkpoint {' or '.join(named)} does not exist; give a trained MODEL_DIR, a "
            "checkpoint_N directory in it, a T5X checkpoint, or a Hugging Face directory"
        )
    mode = _bound_value(configuration, _RESTORE_CONFIG, "mode")
    if not any(_holds_checkpoint(path, mode) for path in there):
        raise UserError(_no_checkpoint(there[-1], mode))


def _holds_checkpoint(path: str, mode: str | None) -> bool:
    place = epath.Path(path).expanduser()
    if layouts.layout_of(place) is not None:
        return True
    return mode != "specific" and bool(layouts.steps(place))


def _no_checkpoint(path: str, mode: str | None) -> str:
    """What is wrong with a path that is there."""
    place = epath.Path(path).expanduser()
    steps = layouts.steps(place)
    if mode == "specific" and steps:
        return f"{path} is not one checkpoint; it holds checkpoint_{steps[-1]}: name that one"
    if (place / "config.json").exists():
        return (
            f"{path} holds config.json but no weights: fetch model.safetensors or "
            "pytorch_model.bin too"
        )
    return (
        f"{path} holds no checkpoint; expected checkpoint_N directories of a MODEL_DIR, a T5X "
        "checkpoint, or a Hugging Face directory (config.json and weights)"
    )


def _has_begun(configuration: Configuration) -> bool:
    """Whether MODEL_DIR holds checkpoints: then the run goes on from those."""
    model_dir = configuration.macro("MODEL_DIR")
    if not isinstance(model_dir, str) or "://" in model_dir:
        return False
    return any(epath.Path(model_dir).expanduser().glob("checkpoint_*"))
