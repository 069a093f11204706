"""`precompile` compiles the very program that the run then finds."""

import jax
import pytest
from jax.experimental.compilation_cache import compilation_cache

from clinical_t5x.console import UserError
from clinical_t5x.partitioning import PjitPartitioner
from clinical_t5x.training.precompile import AFTER, ASSIGNMENT, BEFORE, precompile
from tests.training import standin


@pytest.fixture
def cache(tmp_path):
    """JAX's persistent cache in a folder of the test's own, empty."""
    before = jax.config.jax_compilation_cache_dir
    folder = tmp_path / "xla"
    folder.mkdir()
    jax.config.update("jax_compilation_cache_dir", str(folder))
    compilation_cache.reset_cache()
    yield folder
    jax.config.update("jax_compilation_cache_dir", before)
    compilation_cache.reset_cache()


def _updates(folder):
    return [path for path in folder.iterdir() if path.name.startswith("jit_train_step")]


def test_run_finds_what_was_compiled(tmp_path, cache):
    model_dir = tmp_path / "run"
    assert standin.run(model_dir, compile_only=True) is None
    assert {path.name for path in model_dir.iterdir()} == {BEFORE, AFTER, ASSIGNMENT}
    assert len(_updates(cache)) == 1
    standin.run(model_dir)
    assert len(_updates(cache)) == 1


def test_texts_say_what_they_are(tmp_path):
    standin.run(tmp_path, compile_only=True)
    assert "stablehlo" in (tmp_path / BEFORE).read_text()
    assert (tmp_path / AFTER).read_text().startswith("HloModule jit_train_step")
    assignment = (tmp_path / ASSIGNMENT).read_text()
    assert assignment.startswith("mesh: slice 1, data 1, fsdp 1, tensor 1\n(0, 0, 0, 0): ")
    assert "['decoder_input_tokens'] (8, 6) int32" in assignment


def _precompile(directory, **options):
    settings = {
        "model": standin.tiny_model(),
        "train_dataset_cfg": standin.dataset(),
        "partitioner": PjitPartitioner(),
        "model_dir": str(directory),
        "random_seed": None,
        "get_dataset_fn": standin.open_toy_batches,
    }
    return precompile(**(settings | options))


def test_t5x_form_needs_no_trainer_and_says_so(tmp_path, capsys):
    assert str(_precompile(tmp_path)) == str(tmp_path)
    assert "the default learning rate schedule is compiled" in capsys.readouterr().out
    assert (tmp_path / AFTER).exists()


def test_impossible_batch_is_refused(tmp_path):
    with pytest.raises(UserError, match="BATCH_SIZE is None"):
        _precompile(tmp_path, train_dataset_cfg=standin.dataset(batch_size=None))
    assert not any(tmp_path.iterdir())
