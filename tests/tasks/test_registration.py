"""What registering and importing the task modules does, and does not do."""

import subprocess
import sys

import pytest
import seqio

import tasks.clip
import tasks.mednli
import tasks.pretrain
import tasks.radqa
from clinical_t5x.console import UserError
from clinical_t5x.data.vocabulary import ClinicalVocabulary


def test_defaults_are_registered_by_import():
    assert {"mimic_pretrain_v1", "mednli_v1", "radqa_v1", "clip_v1"} <= set(
        seqio.TaskRegistry.names()
    )


def test_package_itself_imports_nothing():
    code = "import sys, tasks; sys.exit('seqio' in sys.modules or 'numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("module", [tasks.mednli, tasks.radqa, tasks.clip])
def test_registering_again_replaces(module):
    name = f"{module.__name__}_twice".replace(".", "_")
    assert module.register(name) == module.register(name, deid="keep") == name
    steps = [repr(step) for step in seqio.get_mixture_or_task(name).preprocessors]
    assert not any("tags_replaced" in step for step in steps)


@pytest.mark.parametrize("module", [tasks.mednli, tasks.radqa, tasks.clip])
def test_unknown_tag_mode_is_refused(module):
    with pytest.raises(UserError, match="deid"):
        module.register("never", deid="surrogates")
    assert "never" not in seqio.TaskRegistry.names()


def test_corpus_decides_name_data_set_and_vocabulary():
    assert tasks.pretrain.register() == "mimic_pretrain_v1"
    name = tasks.pretrain.register(corpus="hospital")
    task = seqio.get_mixture_or_task(name)
    assert name == "hospital_pretrain_v1"
    assert task.source.dataset == "clinical_notes/hospital"
    assert task.output_features["inputs"].vocabulary.name == "hospital"
    other = ClinicalVocabulary(name="other")
    name = tasks.pretrain.register("named", corpus="hospital", vocabulary=other)
    assert seqio.get_mixture_or_task(name).output_features["targets"].vocabulary is other


def test_missing_data_is_said_by_plain_seqio_too(tmp_path, monkeypatch):
    monkeypatch.setenv("CLINICAL_T5X_DATA", str(tmp_path))
    with pytest.raises(UserError, match=r"prepare --notes FILE --name hospital2"):
        seqio.get_mixture_or_task(tasks.pretrain.register(corpus="hospital2")).get_dataset(
            {"inputs": 64, "targets": 16}, "train"
        )
    assert not any(tmp_path.iterdir()), "nothing is generated"


def test_data_dir_of_seqio_goes_before_the_data_home(tiny_home, tmp_path, monkeypatch):
    monkeypatch.setenv("CLINICAL_T5X_DATA", str(tmp_path))
    vocabulary = ClinicalVocabulary(tiny_home / "vocabularies/clinical/sentencepiece.model")
    task = seqio.get_mixture_or_task(tasks.mednli.register("placed", vocabulary=vocabulary))
    seqio.set_tfds_data_dir_override(str(tiny_home / "tfds"))
    try:
        dataset = task.get_dataset({"inputs": 64, "targets": 16}, "test", shuffle=False)
        assert len(list(dataset)) == 6
    finally:
        seqio.set_tfds_data_dir_override(None)
