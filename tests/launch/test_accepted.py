"""What T5X has and means nothing here: one table, in step with the code, told at the start."""

import ast
import importlib
import inspect
import re
import textwrap
from pathlib import Path

import pytest

from clinical_t5x.console import UserError
from clinical_t5x.launch import accepted, facade, static_check
from clinical_t5x.launch.gin_reading import read_configuration
from clinical_t5x.launch.program import built_arguments
from clinical_t5x.launch.programs import program_named
from clinical_t5x.launch.search_path import SearchPath
from tests.t5x.test_facade import T5X_PARAMETERS

ROOT = Path(__file__).parents[2]
HEAD = "from __gin__ import dynamic_registration\nfrom t5x import utils\n"


def _object(identity):
    module, _, name = identity.partition(":")
    value = importlib.import_module(module)
    for part in name.split("."):
        value = getattr(value, part)
    return value


def _identity(module, name):
    facade.provide()
    value = getattr(importlib.import_module(module), name)
    return f"{value.__module__}:{value.__qualname__}"


@pytest.mark.parametrize("identity", accepted.PARAMETERS)
def test_every_entry_is_a_parameter_with_its_default_among_what_needs_no_word(identity):
    parameters = inspect.signature(_object(identity)).parameters
    for name, entry in accepted.PARAMETERS[identity].items():
        assert name in parameters
        default = parameters[name].default
        if entry.same and default is not inspect.Parameter.empty and not callable(default):
            assert default in entry.same or default in ((), None), name


@pytest.mark.parametrize("identity", [*accepted.WITHOUT_EFFECT, *accepted.REFUSED])
def test_every_whole_entry_exists(identity):
    assert _object(identity).__name__ == identity.rpartition(":")[2]


def _names_read(function):
    """Names that the body of a function reads."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(function))).body[0]
    return {n.id for statement in tree.body for n in ast.walk(statement) if isinstance(n, ast.Name)}


# Without an effect, but a value that T5X would refuse is refused.
CHECKED = {"activation_partitioning_dims"}
FUNCTIONS = [key for key in T5X_PARAMETERS if key[1][0].islower()]


@pytest.mark.parametrize(("module", "name"), FUNCTIONS)
def test_parameter_of_a_function_is_used_or_in_the_table(module, name):
    identity = _identity(module, name)
    if identity in accepted.WITHOUT_EFFECT:
        return
    read = _names_read(_object(identity))
    table = accepted.PARAMETERS.get(identity, {})
    for parameter in T5X_PARAMETERS[module, name].split():
        if parameter not in table:
            assert parameter in read, parameter
        elif not table[parameter].refused:
            assert parameter not in read - CHECKED, parameter


CONFIGS = ["DatasetConfig", "SaveCheckpointConfig", "RestoreCheckpointConfig"]


@pytest.mark.parametrize("name", CONFIGS)
def test_field_of_a_configuration_is_read_somewhere_or_in_the_table(name):
    sources = "".join(p.read_text() for p in (ROOT / "clinical_t5x" / "training").rglob("*.py"))
    table = accepted.PARAMETERS[f"clinical_t5x.training.config:{name}"]
    for field in T5X_PARAMETERS["t5x.utils", name].split():
        assert field in table or re.search(rf"\.{field}\b", sources), field


@pytest.fixture
def check(tmp_path):
    def run(text, files=("gin/demo.gin",), verb="train"):
        facade.provide()
        mine = tmp_path / "mine.gin"
        mine.write_text(HEAD + text)
        reading = read_configuration([*files, str(mine)], [], SearchPath())
        return static_check.check(reading, program_named(verb))

    return run


def test_reason_is_told_in_one_line_for_all_that_share_it(check):
    notices = check(
        "utils.DatasetConfig.num_workers = 4\nutils.DatasetConfig.num_prefetch_threads = 2\n"
        "train_eval/utils.DatasetConfig.num_workers = 2\nutils.DatasetConfig.use_cached = True"
    ).notices
    assert notices == (
        "utils.DatasetConfig.num_workers, utils.DatasetConfig.num_prefetch_threads have no effect "
        "here: one thread keeps ahead of the step",
        "utils.DatasetConfig.use_cached has no effect here: the token store, written once and "
        "mapped into memory, is the cache",
    )


def test_values_that_mean_what_happens_anyway_need_no_word(check):
    text = "utils.DatasetConfig.num_workers = 0\nA = 4\nutils.DatasetConfig.use_memory_cache = True"
    assert check(text.replace("A = 4\n", "")).notices == ()
    assert check("from t5x import checkpoints\n"
                 "utils.SaveCheckpointConfig.checkpointer_cls = @checkpoints.Checkpointer"
                 ).notices == ()  # fmt: skip


def test_bool_is_not_taken_for_a_number(check):
    (notice,) = check("utils.DatasetConfig.num_workers = False").notices
    assert "num_workers" in notice


def test_macro_is_followed_to_its_value(check):
    (notice,) = check("WORKERS = 3\nutils.DatasetConfig.num_workers = %WORKERS").notices
    assert "num_workers" in notice


def test_of_a_checkpointer_what_says_which_stay_has_its_effect(check):
    text = (
        "from t5x import checkpoints\n"
        "utils.SaveCheckpointConfig.checkpointer_cls = @checkpoints.SaveBestCheckpointer\n"
        "checkpoints.SaveBestCheckpointer.metric_name_to_monitor = 'train/loss'\n"
        "checkpoints.SaveBestCheckpointer.save_dtype = 'bfloat16'"
    )
    (notice,) = check(text).notices
    assert notice.startswith("checkpoints.SaveBestCheckpointer.save_dtype has no effect")


def test_of_what_the_program_does_not_reach_only_that_is_said(check):
    text = "from t5x import checkpoints\ncheckpoints.Checkpointer.save_dtype = 'bfloat16'"
    (notice,) = check(text).notices
    assert notice.endswith("has no effect: nothing refers to @checkpoints.Checkpointer")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "utils.DatasetConfig.runtime_preprocessors = ['x']",
            r"line 3: utils.DatasetConfig.runtime_preprocessors is T5X's and not supported: put",
        ),
        (
            "utils.SaveCheckpointConfig.state_transformation_fns = ['x']",
            r"not supported: convert the checkpoint first",
        ),
        (
            "from t5x import models\nMODEL = @models.DecoderOnlyModel()\n"
            "models.DecoderOnlyModel.module = 1\nmodels.DecoderOnlyModel.vocabulary = 1\n"
            "models.DecoderOnlyModel.optimizer_def = 1",
            r"line 4: models.DecoderOnlyModel is not supported: there are encoder-decoder models",
        ),
        (
            "from t5x import decoding\nfrom t5x import models\n"
            "models.EncoderDecoderModel.decode_fn = @decoding.temperature_sample\n"
            "decoding.temperature_sample.logit_callback_fn = @decoding.beam_search",
            r"logit_callback_fn is T5X's and not supported: decoding here has its own state",
        ),
    ],
    ids=["preprocessors", "transformations", "decoder only", "callback"],
)
def test_what_cannot_be_honoured_is_an_error(check, text, expected):
    with pytest.raises(UserError, match=expected):
        check(text)


ABSENT = "from t5.data import mixtures\n"


def test_absent_package_of_tasks_is_told_and_gin_does_without(check, tmp_path):
    configuration = check(ABSENT)
    assert any("t5.data.mixtures is not installed" in line for line in configuration.notices)
    mine = tmp_path / "bytes.gin"
    mine.write_text(HEAD + ABSENT + "import seqio\nVOCABULARY = @seqio.ByteVocabulary()\n")
    with built_arguments("train", gin_files=["gin/demo.gin", str(mine)]) as arguments:
        assert arguments["total_steps"] == 4000
    assert importlib.util.find_spec("t5") is None  # the stand-in is gone again


def test_task_of_an_absent_package_is_said_early(tmp_path):
    from clinical_t5x.launch.program import check_program

    mine = tmp_path / "mine.gin"
    mine.write_text(ABSENT + "MIXTURE_OR_TASK_NAME = 'wmt_t2t_ende_v003'\n")
    with pytest.raises(UserError, match=r"'wmt_t2t_ende_v003' is one of t5\.data\.mixtures"):
        check_program("train", gin_files=["gin/demo.gin", str(mine)])


def test_name_of_an_absent_package_is_an_error(check):
    with pytest.raises(UserError, match=r"mixtures\.f is from t5\.data\.mixtures, which is not"):
        check(ABSENT + "mixtures.f.x = 1")


def test_docs_have_the_table():
    """Written with accepted.markdown(); a reason that changes must change there as well."""
    assert accepted.markdown() in (ROOT / "docs" / "gin.md").read_text()
