"""Fine-tuning by low-rank adapters: what is trained, kept, saved, resumed and read again."""

import jax
import numpy as np
import pytest

from clinical_t5x import storage
from clinical_t5x.console import UserError
from clinical_t5x.models import lora
from clinical_t5x.partitioning import PjitPartitioner
from clinical_t5x.training import checkpoints
from clinical_t5x.training.config import (
    CheckpointConfig,
    RestoreCheckpointConfig,
    SaveCheckpointConfig,
)
from clinical_t5x.training.optimizer import Adafactor, AdamW, bind_optimizer, chain
from tests.training import standin

ADAPTERS = {"lora_rank": 4, "lora_targets": ("q", "v", "wo"), "scan_layers": True}


def adapted_model(**changes):
    return standin.tiny_model(**(ADAPTERS | changes))


def plain_model():
    return standin.tiny_model(scan_layers=True)


def beginning_from(place, period=2):
    return CheckpointConfig(
        SaveCheckpointConfig(period=period), RestoreCheckpointConfig(str(place), mode="latest")
    )


def leaves(params):
    return {
        jax.tree_util.keystr(path): np.asarray(leaf)
        for path, leaf in jax.tree_util.tree_leaves_with_path(params)
    }


def assert_equal(params, others):
    assert leaves(params).keys() == leaves(others).keys()
    jax.tree.map(np.testing.assert_array_equal, params, others)


@pytest.fixture(scope="module")
def pretrained(tmp_path_factory):
    """MODEL_DIR of a model without adapters, and its state."""
    place = tmp_path_factory.mktemp("base")
    return place, standin.run(place, model=plain_model(), total_steps=2)


@pytest.fixture(scope="module")
def finetuned(pretrained, tmp_path_factory):
    """MODEL_DIR of sixty steps of the adapters alone, and its state."""
    place = tmp_path_factory.mktemp("adapted")
    state = standin.run(
        place,
        model=adapted_model(dropout_rate=0.0),
        checkpoint_cfg=beginning_from(pretrained[0], period=30),
        total_steps=62,
        stats_period=10,
    )
    return place, state


def test_only_adapters_change(pretrained, finetuned):
    (_, before), (_, after) = pretrained, finetuned
    assert_equal(lora.without(after.params), before.params)
    adapters = leaves(lora.split(after.params)[0])
    assert len(adapters) == 2 * (2 * 3 + 2)  # A and B of q and v of three attentions, wo of two
    assert all(np.abs(array).max() > 0.01 for array in adapters.values())


def test_loss_falls_and_the_optimizer_remembers_little(pretrained, finetuned):
    batch = standin.CountingBatches(seed=99, batch_size=512).batch(0)
    tokens = batch["decoder_loss_weights"].sum()
    before, after = (
        float(jax.jit(model.loss_fn)(state.params, batch)[0]) / tokens
        for model, (_, state) in ((plain_model(), pretrained), (adapted_model(), finetuned))
    )
    assert after < before - 0.05
    remembered = sum(leaf.size for leaf in jax.tree.leaves(finetuned[1].opt_state))
    adapters = sum(leaf.size for leaf in leaves(lora.split(finetuned[1].params)[0]).values())
    assert remembered < 1.2 * adapters
    info = (finetuned[0] / "model-info.txt").read_text()
    assert "lora_rank=4" in info
    memory = info[info.index("Optimizer state") :]
    assert "lora_b" in memory
    assert "kernel" not in memory


def test_a_run_says_what_it_trains(pretrained, tmp_path, capsys):
    standin.run(
        tmp_path, model=adapted_model(), checkpoint_cfg=beginning_from(pretrained[0]), total_steps=3
    )
    count = sum(leaf.size for leaf in jax.tree.leaves(pretrained[1].params))
    assert f"(adapters) beside {count:,} unchanged" in capsys.readouterr().out


def test_resuming_gives_the_same_bits(pretrained, tmp_path):
    options = {"model": adapted_model(), "checkpoint_cfg": beginning_from(pretrained[0])}
    whole = standin.run(tmp_path / "whole", total_steps=8, **options)
    standin.run(tmp_path / "parts", total_steps=4, **options)
    resumed = standin.run(tmp_path / "parts", total_steps=8, **options)
    assert_equal(resumed.params, whole.params)
    assert_equal(resumed.opt_state, whole.opt_state)


def test_other_adapters_do_not_resume(finetuned):
    place, _ = finetuned
    for changes, named in (
        ({"lora_alpha": 3.0}, r"rank 4, alpha 16 on q, v, wo, this run has .* alpha 3"),
        ({"lora_rank": 2}, "this run has adapters of rank 2"),
        ({"lora_rank": 0}, "this run has no adapters"),
    ):
        with pytest.raises(UserError, match=named):
            standin.run(place, model=adapted_model(**changes), total_steps=70)


def test_a_finished_run_without_adapters_is_not_one_with(finetuned):
    place, _ = finetuned
    identity = storage.completion(place)["made_from"]
    assert (identity["model"]["lora_rank"], identity["model"]["lora_targets"]) == (
        4,
        ["q", "v", "wo"],
    )


def test_models_without_adapters_read_merged_parameters(finetuned):
    place, state = finetuned
    params, step = checkpoints.restore_params(place, plain_model(), PjitPartitioner())
    assert step == 62
    assert_equal(params, jax.jit(lambda p: lora.merged(p, adapted_model().config))(state.params))
    batch = standin.CountingBatches(0).batch(5)
    ours = jax.jit(adapted_model().logits)(state.params, batch)
    theirs = jax.jit(plain_model().logits)(params, batch)
    assert np.linalg.norm(ours - theirs) / np.linalg.norm(theirs) < 1e-5


def test_models_with_these_adapters_read_them_as_they_are(finetuned):
    place, state = finetuned
    params, _ = checkpoints.restore_params(place, adapted_model(), PjitPartitioner())
    assert_equal(params, state.params)


def test_models_with_other_adapters_read_the_same_function(pretrained, finetuned):
    other = adapted_model(lora_rank=2, lora_targets=("o",))
    merged, _ = checkpoints.restore_params(finetuned[0], plain_model(), PjitPartitioner())
    for place, expected in ((finetuned[0], merged), (pretrained[0], pretrained[1].params)):
        params, _ = checkpoints.restore_params(place, other, PjitPartitioner())
        assert_equal(lora.without(params), expected)
        adapters = leaves(lora.split(params)[0])
        assert all(not array.any() for name, array in adapters.items() if lora.B in name)


def test_a_further_run_begins_from_the_merged_parameters(finetuned, tmp_path):
    for model in (plain_model(), adapted_model()):
        place = tmp_path / str(model.config.lora_rank)
        state = standin.run(
            place, model=model, checkpoint_cfg=beginning_from(finetuned[0]), total_steps=63
        )
        if model.config.lora_rank:
            merged, _ = checkpoints.restore_params(finetuned[0], plain_model(), PjitPartitioner())
            assert_equal(lora.without(state.params), merged)
        assert int(state.step) == 63


def test_new_adapters_differ_by_seed_and_not_otherwise(pretrained, tmp_path):
    firsts = []
    for number, seed in enumerate((3, 3, 4)):
        state = standin.run(
            tmp_path / str(number),
            model=adapted_model(),
            checkpoint_cfg=beginning_from(pretrained[0]),
            total_steps=3,
            seed=seed,
        )
        firsts.append(state.params["encoder"]["layers"]["attention"]["query"][lora.A])
    np.testing.assert_array_equal(firsts[0], firsts[1])
    assert not np.array_equal(firsts[0], firsts[2])


def test_adapters_from_scratch_have_the_base_of_the_seed(tmp_path):
    """Without a checkpoint there is nothing to adapt, but it must not fail."""
    state = standin.run(tmp_path / "a", model=adapted_model(), total_steps=1)
    fresh = standin.run(tmp_path / "b", model=plain_model(), total_steps=1, period=1)
    assert leaves(lora.without(state.params)).keys() == leaves(fresh.params).keys()


@pytest.mark.parametrize(
    "optimizer", [Adafactor(), Adafactor(beta1=0.9), AdamW(), chain([Adafactor()])]
)
def test_every_optimizer_moves_what_begins_at_zero(optimizer):
    model = adapted_model()
    params = model.init_params(jax.random.key(0))
    bound = bind_optimizer(
        optimizer, lambda step: 1e-3, model.abstract_params(), model.logical_axes()
    )
    grads = jax.tree.map(np.ones_like, lora.split(params)[0])
    updates, _ = bound.transformation.update(grads, bound.transformation.init(params), params)
    assert leaves(updates).keys() == leaves(lora.split(params)[0]).keys()
    for array in leaves(updates).values():
        assert np.abs(array).max() > 5e-5  # a step relative to a zero would be 1e-6


def test_microbatches_and_adapters_go_together(pretrained, tmp_path):
    import functools

    from clinical_t5x.training.schedule import create_learning_rate_scheduler
    from clinical_t5x.training.trainer import Trainer

    schedule = create_learning_rate_scheduler("constant", base_learning_rate=0.05)
    states = [
        standin.run(
            tmp_path / str(parts),
            model=adapted_model(dropout_rate=0.0),
            checkpoint_cfg=beginning_from(pretrained[0]),
            total_steps=4,
            trainer_cls=functools.partial(
                Trainer, learning_rate_fn=schedule, num_microbatches=parts
            ),
        )
        for parts in (1, 2)
    ]
    for one, other in zip(*(leaves(state.params).values() for state in states), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)


def test_other_layouts_get_merged_parameters(finetuned):
    from clinical_t5x.interop import t5x_names
    from clinical_t5x.interop.native import open_native

    place, state = finetuned
    source = open_native(place / "checkpoint_62")
    plain = plain_model().config
    assert source.config.lora_rank == 0
    assert {name: info.shape for name, info in source.infos.items()} == t5x_names.t5x_shapes(plain)
    merged = t5x_names.to_named(lora.merged(state.params, adapted_model().config), plain)
    for name in source.infos:
        np.testing.assert_allclose(source.read(name), merged[name], rtol=1e-6, atol=1e-7)
