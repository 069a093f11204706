"""Missing data is said at once, with the commands that make it."""

import pytest

from clinical_t5x.console import UserError
from clinical_t5x.launch.program import check_program
from clinical_t5x.storage import stage_directory


@pytest.fixture
def home(tmp_path):
    """A data home, filled as far as the preflight looks."""

    def fill(*data_sets, vocabularies=()):
        for name in data_sets:
            folder = tmp_path / "tfds" / name / "1.0.0"
            folder.mkdir(parents=True)
            (folder / "dataset_info.json").write_text("{}")
        for name in vocabularies:
            with stage_directory(tmp_path / "vocabularies" / name):
                pass
        return tmp_path

    return fill


def check(home, *files, bindings=(), verb="train", **options):
    return check_program(verb, gin_files=files, bindings=bindings, data_dir=home, **options)


def test_missing_data_set_names_the_commands(home):
    with pytest.raises(UserError) as caught:
        check(home(), "gin/clinical_large.gin")
    message = str(caught.value)
    assert "no data set clinical_notes" in message
    assert "python -m clinical_t5x.synthetic" in message
    assert "python -m clinical_t5x.prepare" in message


def test_missing_vocabulary_names_the_command(home):
    with pytest.raises(UserError, match="no vocabulary clinical in") as caught:
        check(home("clinical_notes"), "gin/clinical_large.gin")
    assert "python -m clinical_t5x.vocabulary" in str(caught.value)


def test_unfinished_vocabulary_does_not_count(home):
    place = home("clinical_notes")
    (place / "vocabularies" / "clinical").mkdir(parents=True)
    with pytest.raises(UserError, match="no vocabulary"):
        check(place, "gin/clinical_large.gin")


def test_filled_home_passes(home):
    place = home("clinical_notes", vocabularies=["clinical"])
    configuration = check(place, "gin/clinical_large.gin")
    assert configuration.macro("MODEL_DIR") == "runs/clinical_large"


@pytest.mark.parametrize("task", ["mednli", "radqa", "clip"])
def test_benchmark_recipes_ask_for_their_own_data_set(home, task):
    place = home("clinical_notes", vocabularies=["clinical"])
    files = ("gin/models/clinical_base.gin", f"gin/eval_{task}.gin")
    with pytest.raises(UserError, match=f"no data set {task}"):
        check(place, *files, bindings=["CHECKPOINT_PATH = x"], verb="eval")


def test_other_corpus_has_its_own_data_and_vocabulary(home):
    files = ("gin/demo.gin", "gin/other_corpus.gin")
    place = home("clinical_notes", vocabularies=["clinical"])
    with pytest.raises(UserError, match="--notes FILE --name hospital"):
        check(place, *files, bindings=["CORPUS = hospital"])
    home("clinical_notes/hospital")
    with pytest.raises(UserError, match="--name hospital"):
        check(place, *files, bindings=["CORPUS = hospital"])
    home(vocabularies=["hospital"])
    check(place, *files, bindings=["CORPUS = hospital"])


@pytest.mark.parametrize("flag", ["data_home", "tfds", "apart"])
def test_tfds_data_dir_stands_for_a_data_home_or_holds_data_sets(home, tmp_path, flag):
    place = home("clinical_notes", vocabularies=["clinical"])
    given = {"data_home": place, "tfds": place / "tfds", "apart": tmp_path / "apart"}[flag]
    options = {"gin_files": ["gin/clinical_large.gin"], "tfds_data_dir": given}
    if flag != "apart":
        check_program("train", **options)
        return
    with pytest.raises(UserError, match=f"no data set clinical_notes .* in {given}"):
        check_program("train", data_dir=place, **options)
    (place / "tfds").rename(given)
    check_program("train", data_dir=place, **options)


def test_missing_task_module_is_said(home):
    bindings = ["MIXTURE_OR_TASK_MODULE = 'no_such_tasks.mine'"]
    with pytest.raises(UserError, match=r"task module no_such_tasks.mine cannot be imported"):
        check(home(vocabularies=["clinical"]), "gin/clinical_large.gin", bindings=bindings)


def test_missing_vocabulary_file_is_said(home):
    bindings = ["vocabulary.ClinicalVocabulary.sentencepiece_model_file = '/no/such.model'"]
    with pytest.raises(UserError, match=r"no vocabulary file /no/such\.model"):
        check(home("clinical_notes"), "gin/clinical_large.gin", bindings=bindings)


class TestCheckpoints:
    """A checkpoint that is not there is said at once, unless the run does not need it."""

    FINETUNE = ("gin/models/tiny.gin", "gin/finetune_mednli.gin")
    EVAL = ("gin/models/tiny.gin", "gin/eval_mednli.gin")

    @pytest.fixture
    def place(self, home):
        return home("mednli", vocabularies=["clinical"])

    def test_missing_checkpoint_is_named(self, place):
        with pytest.raises(UserError, match="checkpoint nowhere/run does not exist"):
            check(place, *self.EVAL, bindings=["CHECKPOINT_PATH = 'nowhere/run'"], verb="eval")
        with pytest.raises(UserError, match="checkpoint nowhere/run does not exist"):
            check(place, *self.FINETUNE, bindings=["INITIAL_CHECKPOINT_PATH = 'nowhere/run'"])

    def test_one_of_several_is_enough(self, place, tmp_path):
        (tmp_path / "run" / "checkpoint_5").mkdir(parents=True)
        paths = f"['nowhere/run', '{tmp_path / 'run'}']"
        check(place, *self.FINETUNE, bindings=[f"INITIAL_CHECKPOINT_PATH = {paths}"])

    def test_scratch_and_buckets_pass(self, place):
        for value in ("[]", "'gs://bucket/run'"):
            check(place, *self.FINETUNE, bindings=[f"INITIAL_CHECKPOINT_PATH = {value}"])

    def test_fallback_to_scratch_passes(self, place):
        bindings = ["INITIAL_CHECKPOINT_PATH = 'nowhere'"]
        bindings += ["utils.RestoreCheckpointConfig.fallback_to_scratch = True"]
        check(place, *self.FINETUNE, bindings=bindings)

    def test_a_run_that_has_begun_does_not_need_it(self, place, tmp_path):
        (tmp_path / "run" / "checkpoint_5").mkdir(parents=True)
        bindings = ["INITIAL_CHECKPOINT_PATH = 'nowhere'", f"MODEL_DIR = '{tmp_path / 'run'}'"]
        check(place, *self.FINETUNE, bindings=bindings)

    @pytest.mark.parametrize(
        "file",
        [
            "hf/model.safetensors",
            "hf/weights.bin.gz",
            "t5x/checkpoint_9/state/_METADATA",
            "t5x/checkpoint_9/checkpoint",
            "ours/checkpoint_9/params/_METADATA",
        ],
    )
    def test_every_layout_passes(self, place, tmp_path, file):
        (tmp_path / file).parent.mkdir(parents=True)
        (tmp_path / file).touch()
        given = {tmp_path / file.split("/")[0]}
        if "checkpoint_9" in file:
            given.add(tmp_path / file.split("/")[0] / "checkpoint_9")
        for path in given:
            check(place, *self.FINETUNE, bindings=[f"INITIAL_CHECKPOINT_PATH = '{path}'"])

    def test_what_is_no_checkpoint_is_said(self, place, tmp_path):
        bindings = [f"INITIAL_CHECKPOINT_PATH = '{tmp_path}'"]
        with pytest.raises(UserError, match="holds no checkpoint; expected"):
            check(place, *self.FINETUNE, bindings=bindings)
        (tmp_path / "config.json").write_text("{}")
        with pytest.raises(UserError, match=r"config\.json but no weights"):
            check(place, *self.FINETUNE, bindings=bindings)

    def test_a_model_dir_is_not_one_checkpoint(self, place, tmp_path):
        (tmp_path / "checkpoint_5").mkdir()
        bindings = [f"CHECKPOINT_PATH = '{tmp_path}'"]
        specific = "utils.RestoreCheckpointConfig.mode = 'specific'"
        check(place, *self.EVAL, bindings=bindings, verb="eval")
        with pytest.raises(UserError, match="checkpoint_5: name that one"):
            check(place, *self.EVAL, bindings=[*bindings, specific], verb="eval")
