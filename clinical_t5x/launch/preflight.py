"""Data sets and vocabularies that a run needs and that are not there, said before jax is imported.

Looks at what the data home holds on disk; whether its content fits is for the run itself.
"""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Iterator

from clinical_t5x.console import UserError
from clinical_t5x.launch.gin_reading import Binding, Macro, Reference, iterate_leaves
from clinical_t5x.launch.static_check import Configuration
from clinical_t5x.storage import data_home, is_complete

VOCABULARY = "clinical_t5x.data.vocabulary:ClinicalVocabulary"
DATASET_CONFIG = "clinical_t5x.training.config:DatasetConfig"

# The TFDS data set that each of this project's task modules reads.
DATA_SETS = {
    "tasks.pretrain": "clinical_notes",
    "tasks.mednli": "mednli",
    "tasks.radqa": "radqa",
    "tasks.clip": "clip",
}
_PREPARE = """Make it from PhysioNet's files, or try everything on synthetic ones:
    python -m clinical_t5x.synthetic --out {home}/physionet --patients 2000 --seed 0
    python -m clinical_t5x.prepare --physionet {home}/physionet --data_dir {home}"""
_VOCABULARY = """Make it from the prepared corpus:
    python -m clinical_t5x.vocabulary --data_dir {home}{name}"""


def check_inputs(configuration: Configuration) -> None:
    """Check that the task modules, data sets and vocabularies of a configuration exist.

    Raises:
      UserError: something is missing; the message has the commands that make it.
    """
    for module, binding in _task_modules(configuration):
        _check_module(module, binding)
        if module in DATA_SETS:
            _check_data_set(DATA_SETS[module], module)
    if _uses_clinical_vocabulary(configuration):
        _check_vocabulary(configuration)


def _task_modules(configuration: Configuration) -> Iterator[tuple[str, Binding]]:
    seen = set()
    for binding in configuration.bound(DATASET_CONFIG, "module"):
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


def _check_data_set(name: str, module: str) -> None:
    home = data_home()
    folder = home / "tfds" / name
    if not any(folder.glob("*/dataset_info.json")):
        raise UserError(
            f"no data set {name} (for {module}) in {folder}. {_PREPARE.format(home=home)}"
        )


def _uses_clinical_vocabulary(configuration: Configuration) -> bool:
    vocabulary = configuration.value(Macro("VOCABULARY"))
    return any(
        isinstance(leaf, Reference) and leaf.name.endswith("ClinicalVocabulary")
        for leaf in iterate_leaves(vocabulary)
    )


def _check_vocabulary(configuration: Configuration) -> None:
    for binding in configuration.bound(VOCABULARY, "sentencepiece_model_file"):
        file = configuration.value(binding.value)
        if file is None:
            continue
        if "://" not in file and not os.path.isfile(file):
            raise UserError(f"{binding.place}: no vocabulary file {file}")
        return
    names = [configuration.value(b.value) for b in configuration.bound(VOCABULARY, "name")]
    name = names[-1] if names else "clinical"
    home = data_home()
    if not is_complete(home / "vocabularies" / name):
        option = "" if name == "clinical" else f" --name {name}"
        advice = _VOCABULARY.format(home=home, name=option)
        raise UserError(f"no vocabulary {name!r} in {home / 'vocabularies' / name}. {advice}")
