"""Parts of the benchmarks as SeqIO tasks: what SeqIO, Google's T5X and token stores see of them."""

import collections
import itertools

import pytest
import seqio

import tasks.clip
import tasks.mednli
import tasks.radqa
from clinical_t5x.console import UserError
from clinical_t5x.data import store_catalog, subset_source
from clinical_t5x.data.loader import open_batches, open_examples, open_store

LENGTHS = {"inputs": 96, "targets": 32}
MODULES = (tasks.mednli, tasks.radqa, tasks.clip)


@pytest.fixture(autouse=True)
def no_parts_are_left():
    """Tasks that a test registers are gone afterwards."""
    before = set(seqio.TaskRegistry.names())
    yield
    for name in set(seqio.TaskRegistry.names()) - before:
        seqio.TaskRegistry.remove(name)


def units_of(name, split):
    return {record["unit"] for record in open_examples(name, split=split).records}


def ids_through_seqio(name, split, **options):
    dataset = seqio.get_mixture_or_task(name).get_dataset(LENGTHS, split, shuffle=False, **options)
    return [example["id"].decode() for example in dataset.as_numpy_iterator()]


def test_a_fraction_has_whole_premise_groups_and_leaves_the_other_splits_alone(in_tiny_home):
    name = tasks.mednli.register(fraction=0.5)
    assert name == "mednli_v1_train_50pct_seed0"
    task = seqio.get_mixture_or_task(name)
    sizes = [task.num_input_examples(split) for split in ("train", "validation", "test")]
    assert sizes == [9, 6, 6]
    records = open_examples(name, split="train").records
    assert len(records) == 9
    assert len({record["unit"] for record in records}) == 1
    for split in ("validation", "test"):
        whole = open_examples("mednli_v1", split=split)
        part = open_examples(name, split=split)
        assert [r["id"] for r in part.records] == [r["id"] for r in whole.records]


def test_token_store_and_seqio_see_the_same_examples(in_tiny_home):
    name = tasks.mednli.register(fraction=0.5, subset_seed=1)
    stored = [record["id"] for record in open_examples(name, split="train").records]
    assert stored == ids_through_seqio(name, "train")
    assert len(open_store(name, split="train").records()) == 9


def test_hosts_share_out_the_records_of_a_part(in_tiny_home):
    name = tasks.mednli.register(fraction=0.5)
    shards = [
        ids_through_seqio(name, "train", shard_info=seqio.ShardInfo(index, 4)) for index in range(4)
    ]
    assert sorted(itertools.chain(*shards)) == sorted(ids_through_seqio(name, "train"))
    assert max(map(len, shards)) - min(map(len, shards)) <= 1
    source = seqio.get_mixture_or_task(name).source
    direct = source.get_dataset("train", shuffle=False, shard_info=seqio.ShardInfo(1, 4))
    assert len(list(direct)) == len(shards[1])


def test_folds_redefine_train_and_validation_without_tearing_a_unit(in_tiny_home):
    names = [tasks.mednli.register(folds=2, fold=fold) for fold in (0, 1)]
    assert names[0] == "mednli_v1_fold_0_of_2_seed0"
    held_out = [units_of(name, "validation") for name in names]
    assert not held_out[0] & held_out[1]
    assert held_out[0] | held_out[1] == units_of("mednli_v1", "train")
    for name, out in zip(names, held_out, strict=True):
        assert not out & units_of(name, "train")
        task = seqio.get_mixture_or_task(name)
        # the premises of the tiny validation split are those of its train split
        assert task.num_input_examples("train") == task.num_input_examples("validation") == 12
        assert units_of(name, "test") == units_of("mednli_v1", "test")
    everything = collections.Counter(
        record["id"] for name in names for record in open_examples(name, split="validation").records
    )
    assert len(everything) == 24
    assert set(everything.values()) == {1}


def test_the_part_belongs_to_the_identity_of_a_store(in_tiny_home):
    """Two parts under one name are two stores, and the plain task's is not touched."""
    plain = open_store("mednli_v1", split="train").directory
    first = open_store(tasks.mednli.register("few", fraction=0.5), split="train")
    again = open_store(tasks.mednli.register("few", fraction=0.5), split="train")
    other = open_store(tasks.mednli.register("few", fraction=0.5, subset_seed=3), split="train")
    fold = open_store(tasks.mednli.register("few", folds=2, fold=0), split="train")
    assert first.directory == again.directory
    assert len({first.directory, other.directory, fold.directory}) == 3
    assert open_store("mednli_v1", split="train").directory == plain
    batches = [
        open_batches(
            tasks.mednli.register("few", fraction=0.5, subset_seed=seed),
            split="train", feature_lengths=LENGTHS, batch_size=2, pack=False, shuffle=True, seed=0,
        ).manifest_hash
        for seed in (0, 0, 3)
    ]  # fmt: skip
    chosen = [{r["unit"] for r in s.records()} for s in (first, other)]
    assert batches[0] == batches[1]
    assert (batches[0] == batches[2]) == (chosen[0] == chosen[1])


def test_a_store_is_stale_when_the_choosing_code_changed(in_tiny_home, monkeypatch):
    directory = open_store(tasks.mednli.register(fraction=0.5), split="train").directory
    made_from = store_catalog.completion(directory)["made_from"]
    assert store_catalog.is_fresh(made_from)
    assert made_from["dataset"]["subset"]["fraction"] == 0.5
    known = store_catalog.module_hash
    changed = "clinical_t5x.data.subsets"
    monkeypatch.setattr(
        store_catalog, "module_hash", lambda name: "other" if name == changed else known(name)
    )
    assert not store_catalog.is_fresh(made_from)


@pytest.mark.parametrize("module", MODULES)
def test_whole_is_the_plain_task(module):
    name = module.register(fraction=1.0, subset_seed=9)
    assert name == f"{module.__name__.split('.')[1]}_v1"
    source = seqio.get_mixture_or_task(name).source
    assert not isinstance(source, subset_source.SubsetDataSource)
    module.register()


@pytest.mark.parametrize("module", MODULES)
def test_parts_are_registered_without_data_and_refused_without_units(
    module, in_tiny_home, monkeypatch
):
    monkeypatch.setenv("CLINICAL_T5X_DATA", str(in_tiny_home / "nothing"))
    task = seqio.get_mixture_or_task(module.register(fraction=0.001))
    with pytest.raises(UserError, match=r"make it with: python -m clinical_t5x\.prepare"):
        task.num_input_examples("train")
    monkeypatch.setenv("CLINICAL_T5X_DATA", str(in_tiny_home))
    with pytest.raises(UserError, match=r"fraction 0\.001 of .* leaves no unit"):
        task.num_input_examples("train")
    with pytest.raises(UserError, match="folds is 5, but there are only"):
        open_examples(module.register(folds=5, fold=0), split="validation")


@pytest.mark.parametrize("module", MODULES)
def test_impossible_parts_are_refused_when_registered(module):
    for options in ({"fraction": 1.5}, {"folds": 3}, {"folds": 3, "fold": 3}):
        with pytest.raises(UserError, match=r"fraction is|fold is"):
            module.register(**options)


@pytest.mark.parametrize(
    ("module", "strata"),
    [
        (tasks.mednli, {"entailment": 6, "contradiction": 6, "neutral": 6}),
        (tasks.radqa, {"answerable": 2, "unanswerable": 1}),
        (
            tasks.clip,
            {"Appointment-related followup": 2, "Imaging-related followup": 1, "none": 1},
        ),
    ],
)
def test_units_are_read_with_their_labels(module, strata, in_tiny_home):
    source = seqio.get_mixture_or_task(module.register(folds=2, fold=0)).source
    found = collections.Counter()
    for unit in source.published_units()["train"]:
        found.update(unit.strata)
    assert found == strata


def test_a_new_data_set_is_read_anew(in_tiny_home, monkeypatch):
    source = seqio.get_mixture_or_task(tasks.mednli.register(fraction=0.5)).source
    read = []
    monkeypatch.setattr(subset_source, "_units", lambda *key: read.append(key) or [])
    source.published_units()
    monkeypatch.setattr(subset_source, "dataset_fingerprint", lambda _: "another")
    source.published_units()
    assert len({key[1] for key in read}) == 2
