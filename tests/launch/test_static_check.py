"""Every mistake in a gin configuration is one clear message that names it and the cure."""

import pytest

from clinical_t5x.console import UserError
from clinical_t5x.launch import facade, static_check
from clinical_t5x.launch.gin_reading import Macro, read_configuration
from clinical_t5x.launch.programs import program_named
from clinical_t5x.launch.search_path import SearchPath

HEAD = "from __gin__ import dynamic_registration\n"
RECIPE = "include 'gin/demo.gin'\n"


@pytest.fixture
def check(tmp_path):
    """Check the demo recipe, or other files, with a file of the test's own after it."""

    def run(text="", bindings=(), files=("gin/demo.gin",), verb="train"):
        facade.provide()
        mine = tmp_path / "mine.gin"
        mine.write_text(text)
        names = [*files, *([str(mine)] if text else [])]
        reading = read_configuration(names, bindings, SearchPath())
        return static_check.check(reading, program_named(verb))

    return run


def test_whole_recipe_passes_with_its_values(check):
    configuration = check(bindings=["TRAIN_STEPS = 7"])
    assert configuration.macro("TRAIN_STEPS") == 7
    assert configuration.value(Macro("MODEL_DIR")) == "runs/demo/pretrain"
    assert configuration.macro("NO_SUCH") is None
    assert "clinical_t5x.models.config:T5Config" in configuration.reached
    assert configuration.notices == ()


def test_scopes_keep_their_bindings_apart(check):
    splits = check().bound("clinical_t5x.training.config:DatasetConfig", "split")
    assert {binding.scope: binding.value for binding in splits} == {
        "train": "train",
        "train_eval": "validation",
    }


MISTAKES_IN_FILES = {
    "unknown module": (
        "from t5x import utlis\nutlis.DatasetConfig.pack = True",
        r"mine.gin line 2: cannot import t5x.utlis: t5x has no utlis",
    ),
    "unknown package": (
        "import t5xx.utils\nA = 1",
        r"mine.gin line 2: cannot import t5xx.utils: Python's search path has no t5xx",
    ),
    "unknown class": (
        "from t5x import utils\nutils.DatasetConfg.pack = True",
        r"line 3: unknown name utils.DatasetConfg: t5x.utils has no DatasetConfg; "
        r"did you mean DatasetConfig",
    ),
    "unknown class in a reference": (
        "from t5x import models\nMODEL = @models.EncoderDecodrModel()",
        r"line 3: unknown name models.EncoderDecodrModel: .*did you mean EncoderDecoderModel",
    ),
    "unknown parameter": (
        "from t5x.examples.t5 import network\nnetwork.T5Config.emb_dims = 8",
        r"line 3: network.T5Config has no parameter emb_dims; did you mean emb_dim",
    ),
    "unknown parameter without a likeness": (
        "from t5x import utils\nutils.CheckpointConfig.zzz = 8",
        r"line 3: utils.CheckpointConfig has no parameter zzz; it has save, restore",
    ),
    "unknown method": (
        "from t5x import models\nmodels.EncoderDecoderModel.predict_bach.num_decodes = 2",
        r"class EncoderDecoderModel has no predict_bach; did you mean predict_batch",
    ),
    "unknown parameter of a method": (
        "from t5x import models\nmodels.EncoderDecoderModel.predict_batch_with_aux.beams = 2",
        r"has no parameter beams",
    ),
    "name not imported": (
        "utils.DatasetConfig.pack = True",
        r"line 2: unknown name utils.DatasetConfig: utils is not imported in this file",
    ),
    "name of another program": (
        "import __main__ as train_script\ntrain_script.trian.total_steps = 2",
        r"the program has no trian; did you mean train",
    ),
    "undefined macro": (
        "BATCH_SIZE = %BATCH_SIZ",
        r"line 2: the macro BATCH_SIZ is not defined; did you mean BATCH_SIZE",
    ),
    "misspelt macro": (
        "TRAIN_STEP = 5",
        r"line 2: nothing uses the macro TRAIN_STEP; did you mean TRAIN_STEPS",
    ),
    "required macro": (
        "TRAIN_STEPS = %gin.REQUIRED",
        r"TRAIN_STEPS has no value \(.*mine.gin line 2 requires one\); .*--gin.TRAIN_STEPS=1000",
    ),
    "required parameter": (
        "from t5x import utils\nutils.SaveCheckpointConfig.period = %gin.REQUIRED",
        r"utils.SaveCheckpointConfig.period has no value .* --gin.utils.SaveCheckpointConfig.perio",
    ),
    "parameter without default": (
        "from t5x import partitioning\nfrom t5x import utils\n"
        "utils.CheckpointConfig.save = @other/utils.DatasetConfig()",
        r"other/utils.DatasetConfig.split has no value",
    ),
    "module instead of a class": (
        "from t5x import utils\nutils.pack = True",
        r"line 3: utils is a module; name a class or function in it",
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES_IN_FILES)
def test_mistake_in_a_file_is_named(check, mistake):
    text, expected = MISTAKES_IN_FILES[mistake]
    with pytest.raises(UserError, match=expected):
        check(HEAD + text)


def test_file_without_dynamic_registration_says_so(check):
    with pytest.raises(UserError, match="from __gin__ import dynamic_registration"):
        check("adafactr.Adafactor.decay_rate = 0.8")


@pytest.mark.parametrize(
    ("binding", "expected"),
    [
        ("BACTH = 5", r"--gin.BACTH: there is no macro of this name; did you mean BATCH_SIZE"),
        ("ZZZZ = 5", r"--gin.ZZZZ: there is no macro of this name; no gin file uses it"),
        ("T5Config.embdim = 5", r"T5Config has no parameter embdim; did you mean emb_dim"),
        ("network.T5Confg.dtype = 5", r"unknown name network.T5Confg; did you mean network.T5Con"),
        ("trian.total_steps = 5", r"the command line: unknown name trian; did you mean train"),
        ("train/DatasetConfg.pack = 5", r"unknown name DatasetConfg; did you mean DatasetConfig"),
    ],
)
def test_mistake_on_the_command_line_is_named(check, binding, expected):
    with pytest.raises(UserError, match=expected):
        check(bindings=[binding])


@pytest.mark.parametrize(
    "binding",
    [
        "train_script.train.total_steps = 5",
        "train.total_steps = 5",
        "network.T5Config.dtype = 'float32'",
        "T5Config.dtype = 'float32'",
        "utils.SaveCheckpointConfig.keep = 1",
        "train/DatasetConfig.pack = False",
    ],
)
def test_command_line_may_name_the_end_of_a_name(check, binding):
    check(bindings=[binding])


def test_every_required_macro_is_listed_at_once(check):
    with pytest.raises(UserError) as caught:
        check(files=("gin/models/tiny.gin", "t5x/configs/runs/pretrain.gin"))
    for name in ("MODEL_DIR", "MIXTURE_OR_TASK_NAME", "TASK_FEATURE_LENGTHS", "TRAIN_STEPS"):
        assert f"{name} has no value" in str(caught.value)


def test_missing_model_file_is_said(check):
    with pytest.raises(UserError, match="MODEL is not defined; name a model's gin file first"):
        check(files=("gin/finetune_mednli.gin",), bindings=["INITIAL_CHECKPOINT_PATH = 'x'"])


@pytest.mark.parametrize(
    ("files", "verb", "expected"),
    [
        (("gin/models/tiny.gin",), "train", r"no run file is among them.*pretrain.gin"),
        (("gin/demo.gin",), "eval", r"do not configure evaluate \(they configure train instead"),
        (("gin/models/tiny.gin", "gin/eval_clip.gin"), "train", "configure evaluate instead"),
    ],
)
def test_program_must_be_configured(check, files, verb, expected):
    with pytest.raises(UserError, match=expected):
        check(files=files, verb=verb)


def test_facade_and_real_path_are_one_configurable(check):
    text = "from clinical_t5x.models import config\nconfig.T5Config.emb_dim = 77"
    bound = check(HEAD + text).bound("clinical_t5x.models.config:T5Config", "emb_dim")
    assert [binding.value for binding in bound] == [77]


def test_unused_macro_without_a_likeness_is_only_noticed(check):
    configuration = check(HEAD + "MY_OWN_THING = 3")
    assert len(configuration.notices) == 1
    assert "nothing uses the macro MY_OWN_THING" in configuration.notices[0]


def test_long_list_of_problems_is_cut(check):
    lines = "\n".join(f"X{n} = %UNDEFINED_{n}" for n in range(20))
    with pytest.raises(UserError, match="and 14 more of the kind"):
        check(HEAD + lines)


def test_macro_is_a_scope_of_its_name(check):
    """gin evaluates what a macro stands for in a scope of the macro's name."""
    text = HEAD + "from t5x.examples.t5 import network\nMODEL/network.T5Config.emb_dim = 77"
    bound = check(text).bound("clinical_t5x.models.config:T5Config", "emb_dim")
    assert {binding.scope: binding.value for binding in bound} == {"": 128, "MODEL": 77}


def test_bindings_that_no_reference_leads_to_are_noticed(check):
    alone = (
        HEAD
        + "from t5x import decoding\nfrom t5x import models\ndecoding.beam_search.alpha = 0.0\n"
    )
    files = ["gin/models/tiny.gin", "gin/eval_radqa.gin"]
    options = {"files": files, "verb": "eval", "bindings": ["CHECKPOINT_PATH = 'there'"]}
    notices = check(alone, **options).notices
    assert len(notices) == 1
    assert "decoding.beam_search.alpha" in notices[0]
    assert "line 4) has no effect: nothing refers to @decoding.beam_search" in notices[0]
    method = "models.EncoderDecoderModel.predict_batch_with_aux.num_decodes = 2\n"
    used = alone + method + "models.EncoderDecoderModel.decode_fn = @decoding.beam_search\n"
    assert check(used, **options).notices == ()
