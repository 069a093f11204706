import os
import shutil
import subprocess
import sys

import numpy as np
import pytest
import seqio
from etils import epath

import tasks.mednli
import tasks.pretrain
from clinical_t5x.console import UserError
from clinical_t5x.data import materialise, token_store
from clinical_t5x.data.home import corpus_directory, token_store_directory
from clinical_t5x.data.loader import open_batches, open_examples, open_store
from clinical_t5x.data.vocabulary import ClinicalVocabulary
from clinical_t5x.storage import completion
from tests.data import tiny

PRETRAIN = {
    "task_name": "mimic_pretrain_v1",
    "feature_lengths": {"inputs": 64, "targets": 16},
    "module": "tasks.pretrain",
}
FINETUNE = {
    "task_name": "mednli_v1",
    "feature_lengths": {"inputs": 96, "targets": 16},
    "module": "tasks.mednli",
}


def batches(task, **options):
    defaults = {"split": "train", "batch_size": 4, "pack": False, "shuffle": True, "seed": 0}
    return open_batches(**{**defaults, **task, **options})


def same(a, b):
    return set(a) == set(b) and all((a[name] == b[name]).all() for name in a)


CASES = [(PRETRAIN, False), (FINETUNE, False), (FINETUNE, True)]


@pytest.mark.parametrize(("task", "pack"), CASES)
def test_batch_is_a_function_of_seed_and_step(task, pack, in_tiny_home):
    first, second = batches(task, pack=pack), batches(task, pack=pack)
    for step in (0, 3, 10**7):
        assert same(first.batch(step), second.batch(step))
    assert not same(first.batch(0), first.batch(1))
    assert not same(first.batch(0), batches(task, pack=pack, seed=1).batch(0))
    assert first.manifest_hash == second.manifest_hash


@pytest.mark.parametrize(("task", "pack"), CASES)
def test_parts_of_hosts_make_the_global_batch(task, pack, in_tiny_home):
    opened = batches(task, pack=pack)
    whole = opened.batch(5)
    halves = [opened.batch(5, rows=slice(start, start + 2)) for start in (0, 2)]
    stripes = [opened.batch(5, rows=slice(start, None, 2)) for start in (0, 1)]
    for name, values in whole.items():
        assert values.shape[0] == 4
        assert values.dtype == np.int32
        assert (np.concatenate([half[name] for half in halves]) == values).all()
        assert (stripes[1][name] == values[1::2]).all()


def test_rows_do_not_depend_on_the_batch_size(in_tiny_home):
    small, large = batches(PRETRAIN, batch_size=2), batches(PRETRAIN, batch_size=6)
    rows = [small.batch(step) for step in range(3)]
    for name, values in large.batch(0).items():
        assert (np.concatenate([row[name] for row in rows]) == values).all()


def test_pretraining_rows_hold_the_documents(in_tiny_home):
    """Undoing the corruption of one epoch gives the concatenated documents back."""
    opened = batches(PRETRAIN, batch_size=1, shuffle=False)
    vocabulary = ClinicalVocabulary()
    base, raw = vocabulary.base_vocab_size, []
    for step in range(opened.rows_per_epoch):
        row = opened.batch(step)
        assert (row["encoder_input_tokens"] != 0).all()
        spans, current = {}, None
        for token in row["decoder_target_tokens"][0].tolist():
            if token >= base:
                current = spans.setdefault(token, [])
            elif current is not None and token:
                current.append(token)
        spans[min(spans)].pop()  # the end of the sequence
        inputs = row["encoder_input_tokens"][0].tolist()[:-1]
        raw += [t for token in inputs for t in (spans[token] if token >= base else [token])]
    store = open_store("mimic_pretrain_v1", split="train", module="tasks.pretrain")
    tokens = store.features["tokens"]
    assert raw == tokens.tokens[: len(raw)].tolist()
    texts = sorted(vocabulary.decode(tokens[i]) for i in range(len(tokens)))
    assert texts == sorted(tiny.documents()[:54])
    assert all(tokens[i][-1] == 1 for i in range(len(tokens)))


def test_pretraining_counts_are_measured(in_tiny_home):
    opened = batches(PRETRAIN)
    summary = opened.summary["mimic_pretrain_v1"]
    assert summary["rows"] == opened.rows_per_epoch
    assert summary["tokens"] == (
        summary["rows"] * summary["raw_tokens_per_row"] + summary["tokens_left_over"]
    )


def test_held_out_noise_does_not_depend_on_the_seed(in_tiny_home):
    held_out = [
        batches(PRETRAIN, split="validation", shuffle=False, seed=seed, batch_size=2)
        for seed in (0, 1)
    ]
    assert held_out[0].rows_per_epoch >= 2
    assert all(
        same(a, b) for a, b in zip(held_out[0].one_pass(), held_out[1].one_pass(), strict=True)
    )


def test_each_epoch_has_new_noise(in_tiny_home):
    opened = batches(PRETRAIN, batch_size=1, shuffle=False)
    assert not same(opened.batch(0), opened.batch(opened.rows_per_epoch))


@pytest.mark.parametrize("pack", [False, True])
def test_one_pass_has_every_example_once(pack, in_tiny_home):
    opened = batches(FINETUNE, pack=pack, batch_size=5, shuffle=not pack)
    targets = []
    for features in opened.one_pass():
        assert features["decoder_target_tokens"].shape == (5, 16)
        flat = features["decoder_target_tokens"].ravel()
        targets += np.split(flat[flat != 0], np.flatnonzero(flat[flat != 0] == 1) + 1)
    found = sorted(tuple(target) for target in targets if len(target))
    examples = open_examples("mednli_v1", split="train", module="tasks.mednli")
    assert found == sorted(tuple(target) for target in examples.targets)


def test_packing_fills_rows(in_tiny_home):
    lengths = {"inputs": 256, "targets": 64}
    packed = batches(FINETUNE, pack=True, feature_lengths=lengths, batch_size=1)
    assert packed.rows_per_epoch < 18
    features = packed.batch(0)
    assert features["encoder_segment_ids"].max() > 1
    assert packed.summary["mednli_v1"]["filled"]["inputs"] > 0.5


def test_truncation_is_counted(in_tiny_home):
    opened = batches(FINETUNE, feature_lengths={"inputs": 20, "targets": 2})
    assert opened.summary["mednli_v1"]["truncated"] == {"inputs": 18, "targets": 18}
    examples = open_examples(
        "mednli_v1", split="train", feature_lengths={"inputs": 20, "targets": 16}
    )
    assert examples.truncated == 18
    assert all(len(tokens) == 20 and tokens[-1] == 1 for tokens in examples.inputs)


def test_lengths_are_measured_when_not_given(in_tiny_home):
    examples = open_examples("mednli_v1", split="train")
    assert examples.truncated == 0
    assert examples.feature_lengths == {
        "inputs": max(map(len, examples.inputs)),
        "targets": max(map(len, examples.targets)),
    }
    assert batches(FINETUNE, feature_lengths=None).feature_lengths == examples.feature_lengths


def test_manifest_hash_follows_what_decides_the_order(in_tiny_home):
    hashes = {
        batches(FINETUNE, **options).manifest_hash
        for options in (
            {},
            {"pack": True},
            {"shuffle": False},
            {"feature_lengths": {"inputs": 80, "targets": 16}},
            {"split": "validation"},
        )
    }
    assert len(hashes) == 5


def test_vocabularies_are_named_by_content(in_tiny_home):
    expected = dict.fromkeys(("inputs", "targets"), ClinicalVocabulary().content_hash)
    assert batches(PRETRAIN).vocabularies == expected
    assert open_examples("mednli_v1", split="test").vocabularies == expected


def test_mixture_keeps_its_rates(in_tiny_home):
    seqio.MixtureRegistry.add("mixed_for_test", [("mednli_v1", 3), ("mimic_pretrain_v1", 1)])
    try:
        mixed = batches(
            {**PRETRAIN, "task_name": "mixed_for_test", "module": None}, batch_size=100, pack=True
        )
        whole = mixed.batch(0)
        assert whole["encoder_segment_ids"].max() >= 1
        sentinel = ClinicalVocabulary().vocab_size - 1
        pretraining = (whole["encoder_input_tokens"] == sentinel).any(axis=1)
        assert pretraining.sum() == 25
        assert same(whole, mixed.batch(0))
        assert len(mixed.summary) == 2
    finally:
        seqio.MixtureRegistry.remove("mixed_for_test")


def test_training_from_a_store_imports_neither_tensorflow_nor_seqio(in_tiny_home):
    for task, split in ((PRETRAIN, "train"), (FINETUNE, "train"), (FINETUNE, "validation")):
        batches(task, split=split)
    code = f"""
import sys
from clinical_t5x.data.loader import open_batches, open_examples
open_batches(**{PRETRAIN}, split="train", batch_size=2, pack=True, shuffle=True, seed=0).batch(0)
open_batches(**{FINETUNE}, split="train", batch_size=2, pack=True, shuffle=True, seed=0).batch(0)
open_examples("mednli_v1", split="validation", module="tasks.mednli")
sys.exit(str([name for name in ("tensorflow", "seqio", "jax") if name in sys.modules]))
"""
    result = subprocess.run(
        [sys.executable, "-c", code], env=dict(os.environ), capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert result.stderr.strip() == "[]"


@pytest.fixture
def own_home(tiny_home, tmp_path, monkeypatch):
    """A copy of the tiny data home that a test may change."""
    copied = epath.Path(tmp_path) / "home"
    shutil.copytree(tiny_home, copied, ignore=shutil.ignore_patterns("token_store"))
    monkeypatch.setenv("CLINICAL_T5X_DATA", str(copied))
    return copied


def stores(task="mednli_v1"):
    return sorted(path.name for path in (token_store_directory() / task).iterdir())


def test_store_is_written_once_and_anew_when_the_vocabulary_changes(own_home):
    first = open_store("mednli_v1", split="train").directory
    written = (first / "inputs.u16").stat().mtime
    assert open_store("mednli_v1", split="train").directory == first
    assert (first / "inputs.u16").stat().mtime == written

    from clinical_t5x.data.vocabulary_training import VocabularyOptions, train_vocabulary

    corpus = corpus_directory("clinical")
    train_vocabulary(corpus, own_home / "vocabularies" / "clinical", VocabularyOptions(size=400))
    second = open_store("mednli_v1", split="train")
    assert second.directory != first
    assert stores() == [second.directory.name], "the stale store is removed"
    vocabulary = ClinicalVocabulary()
    texts = [record["inputs_pretokenized"] for record in second.records()]
    assert second.features["inputs"][0].tolist() == [*vocabulary.encode(texts[0]), 1]


def test_store_is_written_anew_when_the_data_set_changes(own_home):
    from clinical_t5x.data.builders import build_corpus

    first = open_store("mimic_pretrain_v1", split="train").content_hash
    corpus = corpus_directory("clinical")
    tiny.write_corpus(corpus, tiny.documents(80), content="c1")
    build_corpus(corpus, own_home)
    assert open_store("mimic_pretrain_v1", split="train").content_hash != first


def test_store_is_written_anew_when_the_task_changes(own_home):
    first = open_store("mednli_v1", split="test").content_hash
    try:
        tasks.mednli.register(deid="keep")
        assert open_store("mednli_v1", split="test").content_hash != first
    finally:
        tasks.mednli.register()


def test_killed_materialisation_is_not_taken_for_whole(own_home, monkeypatch):
    def killed(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(token_store.TokenStoreWriter, "finish", killed)
    with pytest.raises(KeyboardInterrupt):
        open_store("mednli_v1", split="train")
    monkeypatch.undo()
    monkeypatch.setenv("CLINICAL_T5X_DATA", str(own_home))
    assert stores() == []
    store = open_store("mednli_v1", split="train")
    assert completion(store.directory) is not None
    assert store.manifest["items"] == 18


def test_data_home_can_be_moved(own_home, tmp_path, monkeypatch):
    before = open_store("mednli_v1", split="train").directory.name
    moved = tmp_path / "moved"
    os.rename(own_home, moved)
    monkeypatch.setenv("CLINICAL_T5X_DATA", str(moved))
    assert open_store("mednli_v1", split="train").directory == (
        epath.Path(moved) / "token_store" / "mednli_v1" / before
    )


def test_data_dir_goes_before_the_environment(tiny_home, monkeypatch, tmp_path):
    monkeypatch.setenv("CLINICAL_T5X_DATA", str(tmp_path / "nothing"))
    assert len(open_examples("mednli_v1", split="test", data_dir=tiny_home).inputs) == 6


def test_unknown_task_names_the_nearest(in_tiny_home):
    with pytest.raises(UserError, match=r"no task 'mednli_v2' .*did you mean 'mednli_v1'"):
        batches(FINETUNE, task_name="mednli_v2")


def test_unknown_module(in_tiny_home):
    with pytest.raises(UserError, match=r"MIXTURE_OR_TASK_MODULE .*'tasks\.medlni'"):
        batches(FINETUNE, task_name="another", module="tasks.medlni")


def test_unknown_split_names_the_known(in_tiny_home):
    with pytest.raises(UserError, match=r"no split 'dev'; it has train, validation, test"):
        batches(FINETUNE, split="dev")


def test_missing_data_set_names_the_command(monkeypatch, tmp_path):
    monkeypatch.setenv("CLINICAL_T5X_DATA", str(tmp_path))
    with pytest.raises(UserError, match=r"data set mednli .*clinical_t5x\.prepare"):
        batches(FINETUNE)


def test_missing_vocabulary_names_the_command(own_home):
    (own_home / "vocabularies").rmtree()
    with pytest.raises(UserError, match=r"no vocabulary at .*clinical_t5x\.vocabulary"):
        batches(FINETUNE)


def test_pretraining_needs_lengths_and_enough_text(in_tiny_home):
    with pytest.raises(UserError, match="needs TASK_FEATURE_LENGTHS"):
        batches(PRETRAIN, feature_lengths=None)
    with pytest.raises(UserError, match="gives no row"):
        batches(PRETRAIN, split="validation", feature_lengths={"inputs": 1700, "targets": 400})
    with pytest.raises(UserError, match="sentinels"):
        batches(PRETRAIN, feature_lengths={"inputs": 4000, "targets": 1000})
    with pytest.raises(UserError, match="pre-training task"):
        open_examples("mimic_pretrain_v1", split="train")


def test_seqio_reads_the_pretraining_task_itself(in_tiny_home):
    """The task's own tf.data face: as many rows, of the same lengths."""
    task = materialise.load_task("mimic_pretrain_v1", "tasks.pretrain")
    lengths = {"inputs": 64, "targets": 14}
    examples = list(task.get_dataset(lengths, "train", shuffle=False, seed=0).as_numpy_iterator())
    opened = batches(PRETRAIN, feature_lengths=lengths)
    assert len(examples) == opened.rows_per_epoch
    assert {(len(e["inputs"]), len(e["targets"])) for e in examples} == {(64, 14)}


def test_seqio_vocabulary_works_wherever_ours_does(in_tiny_home):
    file = ClinicalVocabulary().sentencepiece_model_file
    name = tasks.mednli.register(
        "mednli_of_seqio", vocabulary=seqio.SentencePieceVocabulary(file, extra_ids=100)
    )
    ours, theirs = (open_examples(task, split="test") for task in ("mednli_v1", name))
    assert [i.tolist() for i in ours.inputs] == [i.tolist() for i in theirs.inputs]
    name = tasks.pretrain.register(
        "pretrain_of_seqio", vocabulary=seqio.SentencePieceVocabulary(file, extra_ids=100)
    )
    assert same(batches({**PRETRAIN, "task_name": name}).batch(3), batches(PRETRAIN).batch(3))


def test_another_corpus_is_another_task(own_home):
    from clinical_t5x.data.builders import build_corpus

    corpus = corpus_directory("hospital")
    tiny.write_corpus(corpus, tiny.documents(40), content="h")
    assert build_corpus(corpus, own_home) == (
        own_home / "tfds" / "clinical_notes" / "hospital" / "1.0.0"
    )
    name = tasks.pretrain.register(corpus="hospital", vocabulary=ClinicalVocabulary())
    assert name == "hospital_pretrain_v1"
    hospital = open_store(name, split="train")
    assert hospital.manifest["items"] == 36
    assert open_store("mimic_pretrain_v1", split="train").manifest["items"] == 54
