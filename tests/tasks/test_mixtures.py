"""Mixtures: their parts, their rates, and that SeqIO and our loader both read them."""

import itertools

import numpy as np
import pytest
import seqio

import tasks.mednli
import tasks.mixtures
from clinical_t5x.console import UserError
from clinical_t5x.data.loader import open_batches
from clinical_t5x.data.rows import MixedRows, OrderedRows
from clinical_t5x.data.vocabulary import ClinicalVocabulary

LENGTHS = {"inputs": 64, "targets": 32}
MULTITASK = "multitask_mednli_v1_radqa_v1_clip_v1"
WITH_PRETRAINING = f"mimic_pretrain_v1_and_{MULTITASK}"


@pytest.fixture(autouse=True)
def defaults_come_back():
    """What a test registers under a default name is the default again afterwards."""
    yield
    tasks.mixtures.register()
    tasks.mixtures.register_with_pretraining()


def batches(name, **options):
    settings = {
        "split": "train", "feature_lengths": LENGTHS, "batch_size": 50, "pack": False,
        "shuffle": True, "seed": 0, "module": "tasks.mixtures",
    }  # fmt: skip
    return open_batches(name, **{**settings, **options})


def rates(name):
    mixture = seqio.get_mixture_or_task(name)
    return {task.name: mixture.get_rate(task) / mixture.total_rate for task in mixture.tasks}


def test_names_say_the_parts_with_their_versions():
    assert {MULTITASK, WITH_PRETRAINING} <= set(seqio.MixtureRegistry.names())
    parts = {name: {t.name for t in seqio.get_mixture_or_task(name).tasks} for name in
             (MULTITASK, WITH_PRETRAINING)}  # fmt: skip
    assert parts[MULTITASK] == {"mednli_v1", "radqa_v1", "clip_v1"}
    assert parts[WITH_PRETRAINING] == parts[MULTITASK] | {"mimic_pretrain_v1"}


def test_rates_are_training_examples_with_a_cap(in_tiny_home):
    # The tiny splits have 18 pairs, 3 questions and 3 sentences.
    assert rates(MULTITASK) == {"mednli_v1": 18 / 24, "radqa_v1": 3 / 24, "clip_v1": 3 / 24}
    capped = rates(tasks.mixtures.register("capped", maximum=6))
    assert capped == {"mednli_v1": 0.5, "radqa_v1": 0.25, "clip_v1": 0.25}
    even = rates(tasks.mixtures.register("even", temperature=1e9))
    assert even == pytest.approx(dict.fromkeys(even, 1 / 3))
    said = rates(tasks.mixtures.register("said", rates=(2, 1, 1)))
    assert said == {"mednli_v1": 0.5, "radqa_v1": 0.25, "clip_v1": 0.25}
    assert rates(WITH_PRETRAINING) == {
        "mimic_pretrain_v1": 0.5, "mednli_v1": 9 / 24, "radqa_v1": 1.5 / 24, "clip_v1": 1.5 / 24,
    }  # fmt: skip


def test_rates_follow_a_part_of_the_training_data(in_tiny_home):
    few = tasks.mednli.register(fraction=0.5)
    name = tasks.mixtures.register(parts=(few, "clip_v1"))
    assert name == f"multitask_{few}_clip_v1"
    assert rates(name) == {few: 9 / 12, "clip_v1": 3 / 12}


def test_the_loader_keeps_the_rates_and_packs(in_tiny_home):
    opened = batches(MULTITASK, batch_size=1000)
    assert set(opened.summary) == {"mednli_v1", "radqa_v1", "clip_v1"}
    inputs = opened.batch(0)["encoder_input_tokens"]
    prefix = ClinicalVocabulary().encode("mednli premise:")
    mednli = (inputs[:, : len(prefix)] == prefix).all(axis=1)
    assert mednli.sum() == 750
    assert opened.manifest_hash == batches(MULTITASK, batch_size=1000).manifest_hash
    other = tasks.mixtures.register("other", maximum=6)
    assert batches(other, batch_size=1000).manifest_hash != opened.manifest_hash
    packed = batches(MULTITASK, pack=True, feature_lengths={"inputs": 192, "targets": 64})
    assert packed.batch(0)["encoder_segment_ids"].max() > 1


def test_pretraining_and_tasks_share_every_batch(in_tiny_home):
    opened = batches(WITH_PRETRAINING, batch_size=1000, pack=True)
    sentinel = ClinicalVocabulary().sentinel_ids()[0]
    corrupted = (opened.batch(0)["encoder_input_tokens"] == sentinel).any(axis=1)
    assert corrupted.sum() == 500
    assert opened.summary["mimic_pretrain_v1"]["rows"] > 0


@pytest.mark.parametrize(
    "name", [MULTITASK, pytest.param(WITH_PRETRAINING, marks=pytest.mark.slow)]
)
def test_seqio_reads_the_mixture_too(name, in_tiny_home):
    dataset = seqio.get_mixture_or_task(name).get_dataset(
        LENGTHS, "train", shuffle=True, seed=0, num_epochs=None
    )
    examples = list(itertools.islice(dataset.as_numpy_iterator(), 40))
    assert all(0 < len(example["inputs"]) <= 64 for example in examples)
    assert len({example["inputs"].tobytes() for example in examples}) > 5


class _Rows:
    size, lengths, summary = 10, {}, {}

    def __init__(self, value):
        self._value = value

    def features(self, places, indices):
        return {"part": np.full((len(places), 1), self._value)}


@pytest.mark.parametrize("given", [(1, 1_000_000), (1, 1, 5_000_000), (3, 2), (1, 0)])
def test_a_small_part_is_never_left_out(given):
    parts = [OrderedRows(_Rows(k), 0, shuffle=True) for k in range(len(given))]
    found = MixedRows(parts, given).at(np.arange(1000))["part"].ravel()
    counts = np.bincount(found, minlength=len(given))
    assert counts.sum() == 1000
    for count, rate in zip(counts, given, strict=True):
        assert count == pytest.approx(1000 * rate / sum(given), abs=2)
        assert (count > 0) == (rate > 0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"parts": ("mednli_v1", "medlni_v1")}, "'medlni_v1' is not registered; registered are"),
        ({"parts": ("mednli_v1", "mednli_v1")}, "each named once"),
        ({"parts": ()}, "needs parts"),
        ({"rates": (1, 2)}, "a number above 0 for each of mednli_v1, radqa_v1, clip_v1"),
        ({"rates": (1, 2, 0)}, "a number above 0"),
        ({"maximum": 0}, "maximum is 0"),
        ({"temperature": 0}, "temperature is 0"),
    ],
)
def test_impossible_mixtures_are_refused(options, message):
    with pytest.raises(UserError, match=message):
        tasks.mixtures.register("never", **options)
    assert "never" not in seqio.MixtureRegistry.names()
    with pytest.raises(UserError, match="share is 1"):
        tasks.mixtures.register_with_pretraining(share=1)


def test_missing_data_of_a_part_names_the_command(tmp_path, monkeypatch):
    monkeypatch.setenv("CLINICAL_T5X_DATA", str(tmp_path))
    with pytest.raises(
        UserError, match=r"data set .* make it with: python -m clinical_t5x.prepare"
    ):
        batches(MULTITASK)
