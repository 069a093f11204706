import pytest
from etils import epath

from clinical_t5x.console import UserError
from clinical_t5x.corpus import inputs, pipeline
from clinical_t5x.corpus.exclusion import read_patients
from tests.corpus.test_pipeline import silent


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("subject_id\n12\n7\n12\n", ["mimic-iii/12", "mimic-iii/7"]),
        ("\ufeffSUBJECT_ID,x\n12,a\n,b\n", ["mimic-iii/12"]),
        (",subject_id_mimic_iv\n0,10001.0\n1,\n", ["mimic-iv/10001"]),
        ("subject_id,subject_id_mimic_iv\n1,2\n", ["mimic-iii/1", "mimic-iv/2"]),
        ("5\n6\n", ["mimic-iii/5", "mimic-iii/6"]),
        ("patient_id\nhospital/a b\n", ["hospital/a b"]),
    ],
)
def test_lists_are_read(tmp_path, text, expected):
    path = epath.Path(tmp_path) / "list.csv"
    path.write_text(text)
    assert read_patients(path) == expected


@pytest.mark.parametrize(
    "text",
    [
        "name\nx\n",
        "subject_id\nPIGGOTT\n",
        "Seen by Dr. PIGGOTT, who\nsent him home\n",
        "subject_id\n" + "1" * 5000 + "\n",
        "1" * 5000 + "\n",
        "5\n" + "1" * 5000 + "\n",
    ],
)
def test_other_files_are_refused_without_their_text(tmp_path, text):
    path = epath.Path(tmp_path) / "list.csv"
    path.write_text(text)
    with pytest.raises(UserError, match=r"--exclude_patients .*list\.csv") as error:
        read_patients(path)
    assert "PIGGOTT" not in str(error.value).upper()


@pytest.mark.parametrize("text", ["", "\n \n", "subject_id\n", "subject_id,x\n,a\n", "patient_id"])
def test_a_list_of_nobody_is_refused(tmp_path, text):
    path = epath.Path(tmp_path) / "list.csv"
    path.write_text(text)
    with pytest.raises(UserError, match=r"--exclude_patients .*list\.csv names no patient"):
        read_patients(path)


def test_a_directory_is_no_list(tmp_path):
    with pytest.raises(UserError, match="is a directory; name the file"):
        read_patients(epath.Path(tmp_path))


def test_a_missing_list_is_named():
    with pytest.raises(UserError, match="does not exist"):
        read_patients(epath.Path("no/such.csv"))


def test_listed_patients_leave_with_their_linked_persons(physionet, tmp_path):
    path = epath.Path(tmp_path) / "n2c2.csv"
    path.write_text("subject_id\n1\n5\n999\n")
    found = inputs.resolve(
        physionet=epath.Path(physionet), names=None, notes=None, columns=None, exclusions=[path]
    )
    out = epath.Path(tmp_path) / "out"
    options = pipeline.CorpusOptions(keep_benchmark_patients=True)
    manifest = pipeline.prepare_corpus(found, options, out, on_stage=silent)
    assert manifest["counts"]["excluded"]["n2c2.csv"]["patients named"] == 3
    assert manifest["counts"]["excluded"]["n2c2.csv"]["persons with notes"] == 2
    fates = manifest["counts"]["notes"]
    assert fates["mimic-iii"]["person of list n2c2.csv"]["notes"] >= 3
    assert fates["mimic-iv"]["person of list n2c2.csv"]["notes"] == 2
    assert manifest["inputs"][-1]["path"] == "excluded patients/n2c2.csv"


def test_two_lists_of_one_name_are_refused(physionet, tmp_path):
    paths = []
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        paths.append(epath.Path(tmp_path / folder / "list.csv"))
        paths[-1].write_text("1\n")
    with pytest.raises(UserError, match="same file name"):
        inputs.resolve(
            physionet=epath.Path(physionet), names=None, notes=None, columns=None, exclusions=paths
        )
