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
