"""Every recipe is complete, says what it is, and binds T5X's names only."""

import functools
import re
from pathlib import Path

import pytest

import gin
from clinical_t5x.launch import facade, static_check
from clinical_t5x.launch.gin_reading import read_configuration
from clinical_t5x.launch.programs import names_on_main, program_named
from clinical_t5x.launch.search_path import SearchPath

ROOT = Path(__file__).parent.parent
RECIPES = sorted(path.name for path in (ROOT / "gin").glob("*.gin"))
MESHES = sorted(path.name for path in (ROOT / "gin" / "meshes").glob("*.gin"))
MODELS = sorted((ROOT / "gin" / "models").glob("*.gin"))
T5X_FILES = sorted((ROOT / "t5x").rglob("*.gin"))
OURS = [*(ROOT / "gin").rglob("*.gin"), *T5X_FILES]

HEADER = ("Paper:", "Command:", "Hardware:", "Hours:", "Expected:")

# What the command line gives, besides the files in the recipe's own command.
GIVEN = {
    "INITIAL_CHECKPOINT_PATH": "'x'",
    "CHECKPOINT_PATH": "'x'",
    "CORPUS": "'x'",
    "MIXTURE_OR_TASK_NAME": "@mednli.register()",
}

# Parameters in the padded vocabulary of 32,128, to the unit.
SIZES = {
    "t5_1_0/small": 60_506_624,
    "t5_1_0/base": 222_903_552,
    "t5_1_0/large": 737_668_096,
    "t5_1_0/3B": 2_851_598_336,
    "t5_1_0/11B": 11_307_321_344,
    "t5_1_1/small": 76_961_152,
    "t5_1_1/base": 247_577_856,
    "t5_1_1/large": 783_150_080,
    "t5_1_1/xl": 2_849_757_184,
    "t5_1_1/xxl": 11_135_332_352,
}


def _relative(path):
    return path.relative_to(ROOT).as_posix()


def _command(name):
    """The command in a recipe's header: its verb, gin files, and macros given."""
    text = (ROOT / "gin" / name).read_text()
    comment = " ".join(line.lstrip("# ") for line in text.splitlines() if line.startswith("#"))
    command = comment[comment.index("Command:") : comment.index("Hardware:")]
    verb = re.search(r"python -m t5x\.(\w+)", command).group(1)
    return verb, re.findall(r"--gin_file=(\S+)", command), re.findall(r"--gin\.(\w+)=", command)


@functools.cache
def _check(name, *more_files):
    facade.provide()
    verb, files, given = _command(name)
    bindings = [f"{macro} = {GIVEN[macro]}" for macro in given if macro in GIVEN]
    reading = read_configuration([*files, *more_files], bindings, SearchPath())
    return static_check.check(reading, program_named(verb)), verb, files, bindings


@pytest.mark.parametrize("name", RECIPES)
def test_header_says_what_it_is(name):
    lines = (ROOT / "gin" / name).read_text().splitlines()
    header = [line for line in lines[:10] if line.startswith("#")]
    for entry in HEADER:
        assert any(line.startswith(f"# {entry}") for line in header), entry
    assert f"gin/{name}" in " ".join(header)


@pytest.mark.parametrize("name", RECIPES)
def test_documented_command_is_complete(name):
    configuration, *_ = _check(name)
    assert configuration.notices == ()


@pytest.mark.parametrize("name", RECIPES)
def test_gin_itself_takes_the_documented_command(name, monkeypatch):
    _, _, files, bindings = _check(name)
    monkeypatch.chdir(ROOT)
    gin.clear_config()
    try:
        with names_on_main():
            gin.parse_config_files_and_bindings(files, bindings)
    finally:
        gin.clear_config()


@pytest.mark.parametrize("name", RECIPES)
def test_pretraining_begins_without_tensorflow(name):
    """SeqIO brings it, which is most of the time that imports would take."""
    configuration, verb, files, _ = _check(name)
    if verb == "train" and not any("finetune" in file for file in files):
        assert not {module.partition(".")[0] for module in configuration.modules} & {"seqio", "t5"}


@pytest.mark.parametrize("mesh", MESHES)
def test_mesh_goes_with_a_recipe(mesh):
    _check("clinical_large.gin", f"gin/meshes/{mesh}")


@pytest.mark.parametrize("path", OURS, ids=_relative)
def test_each_macro_and_parameter_is_bound_once_a_file(path):
    targets = [
        match.group(1)
        for line in path.read_text().splitlines()
        if (match := re.match(r"([\w./]+) = ", line))
    ]
    assert len(targets) == len(set(targets))


@pytest.mark.parametrize("path", OURS, ids=_relative)
def test_lines_are_short_and_text_is_plain(path):
    text = path.read_text()
    assert text.endswith("\n") and "\t" not in text
    long = [line for line in text.splitlines() if len(line) > 100 and "gs://" not in line]
    assert not long


@pytest.mark.parametrize("name", RECIPES)
def test_recipe_binds_t5x_names_only(name):
    """Recipes run under Google's T5X as well: of ours they name vocabularies and tasks only."""
    modules = re.findall(r"^(?:from|import) (\S+)", (ROOT / "gin" / name).read_text(), re.MULTILINE)
    allowed = {"__gin__", "__main__", "seqio", "t5x", "t5x.examples.t5", "tasks"}
    assert set(modules) <= allowed | {"clinical_t5x.data"}


@pytest.mark.parametrize("path", [*MODELS, *T5X_FILES], ids=_relative)
def test_only_recipes_know_about_runs_folder(path):
    assert "runs/" not in path.read_text().replace("configs/runs/", "")


@pytest.mark.parametrize("size", SIZES)
def test_model_file_has_the_published_size(size):
    """Counted from the dimensions, without building the model."""
    facade.provide()
    files = [f"t5x/examples/t5/{size}.gin", "t5x/configs/runs/eval.gin"]
    given = [f"{name} = 'x'" for name in ("CHECKPOINT_PATH", "EVAL_OUTPUT_DIR")]
    given.append("MIXTURE_OR_TASK_NAME = 'x'")
    reading = read_configuration(files, given, SearchPath())
    configuration = static_check.check(reading, program_named("eval"))

    def value(parameter):
        (binding,) = configuration.bound("clinical_t5x.models.config:T5Config", parameter)
        return binding.value

    emb, heads, layers = value("emb_dim"), value("num_heads"), value("num_encoder_layers")
    assert layers == value("num_decoder_layers")
    attention = 4 * emb * heads * value("head_dim")
    mlp = (len(value("mlp_activations")) + 1) * emb * value("mlp_dim")
    encoder_layer = attention + mlp + 2 * emb
    decoder_layer = 2 * attention + mlp + 3 * emb
    tables = 1 if value("logits_via_embedding") else 2
    count = layers * (encoder_layer + decoder_layer) + 2 * (emb + 32 * heads)
    assert count + tables * value("vocab_size") * emb == SIZES[size]


def test_mission_command_needs_nothing_else():
    """`python -m t5x.train --gin_file=gin/clinical_large.gin` is complete as it stands."""
    configuration, verb, files, bindings = _check("clinical_large.gin")
    assert (verb, files, bindings) == ("train", ["gin/clinical_large.gin"], [])
    assert configuration.macro("MODEL_DIR") == "runs/clinical_large"
    assert configuration.macro("BATCH_SIZE") == 96
    assert configuration.macro("TRAIN_STEPS") == 780_000


@pytest.mark.parametrize(
    ("name", "tokens"), [("clinical_base", 40e9), ("clinical_large", 38e9), ("clinical_xl", 40e9)]
)
def test_pretraining_sees_the_papers_number_of_tokens(name, tokens):
    configuration, *_ = _check(f"{name}.gin")
    rows = configuration.macro("BATCH_SIZE") * configuration.macro("TRAIN_STEPS")
    assert rows * 512 == pytest.approx(tokens, rel=0.03)


@pytest.mark.parametrize("name", ["clinical_base", "clinical_large"])
def test_paper_variant_differs_in_what_its_header_says(name):
    ours, *_ = _check(f"{name}.gin")
    theirs, *_ = _check(f"paper_{name}.gin")

    def values(configuration):
        found = {key: binding.value for key, binding in configuration.parameters.items()}
        found |= {("", "macro", key): b.value for key, b in configuration.macros.items()}
        return found

    ours, theirs = values(ours), values(theirs)
    assert ours.keys() == theirs.keys()
    different = {key[1:] for key in ours if ours[key] != theirs[key]}
    assert different == {
        ("macro", "MODEL_DIR"),
        ("macro", "EVAL_PERIOD"),
        ("clinical_t5x.training.config:SaveCheckpointConfig", "period"),
        ("clinical_t5x.training.schedule:create_learning_rate_scheduler", "warmup_steps"),
    }


def test_periods_are_multiples():
    """T5X wants the checkpoint period and the evaluation period to divide each other."""
    for name in RECIPES:
        configuration, verb, *_ = _check(name)
        if verb == "train":
            (binding,) = configuration.bound(
                "clinical_t5x.training.config:SaveCheckpointConfig", "period"
            )
            period, evaluation = binding.value, configuration.macro("EVAL_PERIOD")
            if evaluation:  # 0 means none
                assert max(period, evaluation) % min(period, evaluation) == 0, name
