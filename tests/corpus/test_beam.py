"""The stages up to exact de-duplication on many machines leave what the local engine leaves."""

import contextlib
import json
import os
import random
from pathlib import Path

import polars as pl
import pytest
from etils import epath
from etils.epath import gpath
from etils.epath.testing import mock_epath

from clinical_t5x import storage
from clinical_t5x.console import UserError
from clinical_t5x.corpus import csv_blocks, inputs, pipeline, staging
from clinical_t5x.corpus.cluster.takeover import Takeover
from clinical_t5x.corpus.duplicates.drafts import superseded_drafts
from clinical_t5x.corpus.duplicates.exact import repeated_texts
from clinical_t5x.synthetic import build

beam = pytest.importorskip("apache_beam")

from clinical_t5x.corpus.cluster import fates, job, running  # noqa: E402 - need apache_beam

# What the reasons of later stages begin with.
LATE = ("near copy", "person of", "holds n-grams")
SECRET = "Amsterdam in the rain"


@contextlib.contextmanager
def silent(description, total, unit):
    yield lambda amount: None


def on_beam(found, output, *flags, **options):
    plan = job.plan_job(found, pipeline.CorpusOptions(**options), epath.Path(output))
    return running.run(plan, ["--runner=DirectRunner", *flags])


def here(found, corpus, *, takeover=None, **options):
    return pipeline.prepare_corpus(
        found,
        pipeline.CorpusOptions(**options),
        epath.Path(corpus),
        on_stage=silent,
        takeover=takeover,
    )


def files(physionet=None, names=None, notes=None, columns=None):
    return inputs.resolve(
        physionet=physionet and epath.Path(physionet),
        names=names,
        notes=notes and epath.Path(notes),
        columns=columns,
    )


def documents(directory):
    return pl.read_parquet(Path(directory) / "documents" / "*.parquet").sort("document_id")


def assert_same(output, told, corpus, manifest):
    """The rows, fates, texts and digest of both engines."""
    assert told["after_exact_duplicates"] == manifest["after_exact_duplicates"]
    assert told["after_exact_duplicates"]["documents"] == documents(output).height > 0
    assert told["inputs"] == manifest["inputs"]
    assert told["stages"][-1]["name"] == "exact duplicates"
    assert told["stages"] == manifest["stages"][: len(told["stages"])]
    for part in ("rows", "deid", "repaired_bytes", "combination"):
        assert told["counts"].get(part) == manifest["counts"].get(part)
    there = pl.read_parquet(output / "dropped" / "*.parquet").sort(pl.all())
    local = pl.read_parquet(corpus / "dropped.parquet").sort(pl.all())
    late = pl.any_horizontal(pl.col("reason").str.starts_with(reason) for reason in LATE)
    assert there.rows() == local.filter(~late).rows()
    rows = sum(counts["in"] for counts in told["counts"]["rows"].values())
    assert rows == documents(output).height + there.height
    final = documents(corpus)
    mine = documents(output).join(final, on="document_id", how="semi", maintain_order="left")
    assert final.drop("person_id").rows() == mine.rows()


@pytest.fixture(scope="module")
def synthetic(tmp_path_factory):
    root = tmp_path_factory.mktemp("synthetic")
    build.build(root, 60, 3, 1)
    return root


@pytest.mark.parametrize(
    ("names", "options"),
    [
        (None, {}),
        (None, {"paper": True}),
        (None, {"deid": "keep", "strict": True}),
        (["mimic-iv"], {}),
        (["mimic-iii"], {}),
    ],
)
def test_the_hand_written_physionet(physionet, tmp_path, names, options):
    found = files(physionet, names)
    told = on_beam(found, tmp_path / "output", **options)
    manifest = here(found, tmp_path / "corpus", **options)
    assert_same(tmp_path / "output", told, tmp_path / "corpus", manifest)


@pytest.mark.parametrize("options", [{}, {"paper": True}])
def test_a_synthetic_physionet_in_many_batches(synthetic, tmp_path, monkeypatch, options):
    found = files(synthetic)
    manifest = here(found, tmp_path / "corpus", **options)
    monkeypatch.setattr(csv_blocks, "BLOCK_BYTES", 400_000)
    told = on_beam(found, tmp_path / "output", **options)
    assert len(list((tmp_path / "output" / "documents").iterdir())) > 20
    assert_same(tmp_path / "output", told, tmp_path / "corpus", manifest)


@pytest.mark.parametrize(
    "flags",
    [
        ["--direct_running_mode=multi_processing", "--direct_num_workers=2"],
        # The interface by which jobs are handed to Flink and Spark, with a server of Python's.
        ["--runner=PortableRunner", "--job_endpoint=embed", "--environment_type=LOOPBACK"],
    ],
)
def test_workers_are_other_processes(physionet, tmp_path, flags):
    """Nothing that a step needs may be left behind in the process that began the job."""
    found = files(physionet)
    told = on_beam(found, tmp_path / "output", *flags)
    manifest = here(found, tmp_path / "corpus")
    assert_same(tmp_path / "output", told, tmp_path / "corpus", manifest)


@pytest.fixture
def ward(tmp_path):
    """Another hospital's notes: repeats of one patient and of others, ids twice, a broken line."""
    chosen = random.Random(7)
    lines = []
    for number in range(300):
        text = f"{SECRET}, patient {chosen.randrange(60)} slept well."
        record = {"key": number % 290, "body": text, "mrn": chosen.randrange(20),
                  "when": f"2101-01-{chosen.randrange(1, 9):02}"}  # fmt: skip
        lines.append(json.dumps(record))
    path = tmp_path / "ward.jsonl"
    path.write_text("\n".join([*lines, "{broken", json.dumps({"key": 1000, "body": ""})]))
    return files(notes=path, columns="text=body,id=key,patient=mrn,time=when")


def test_another_hospitals_notes(ward, tmp_path, monkeypatch):
    monkeypatch.setattr(csv_blocks, "BLOCK_BYTES", 3000)
    told = on_beam(ward, tmp_path / "output")
    manifest = here(ward, tmp_path / "corpus")
    assert_same(tmp_path / "output", told, tmp_path / "corpus", manifest)
    reasons = set(told["counts"]["notes"]["ward"])
    assert {"same text as a later note of the patient", "same text as another patient's note",
            "id of an earlier row"} < reasons  # fmt: skip


def test_the_local_engine_goes_on_from_the_output(physionet, tmp_path):
    found = files(physionet)
    on_beam(found, tmp_path / "output")
    whole = here(found, tmp_path / "whole")
    taken = here(found, tmp_path / "taken", takeover=Takeover(epath.Path(tmp_path / "output")))
    assert taken == whole
    assert documents(tmp_path / "taken").equals(documents(tmp_path / "whole"))


def test_what_was_staged_from_other_files_or_with_other_options_is_refused(physionet, tmp_path):
    on_beam(files(physionet), tmp_path / "output")
    takeover = Takeover(epath.Path(tmp_path / "output"))
    with pytest.raises(UserError, match=r"was made from other files.*radiology\.csv\.gz"):
        here(files(physionet, ["mimic-iii"]), tmp_path / "corpus", takeover=takeover)
    with pytest.raises(UserError, match="made with --paper False, this is --paper True"):
        here(files(physionet), tmp_path / "corpus", takeover=takeover, paper=True)
    manifest = storage.read_json(tmp_path / "output" / "manifest.json")
    manifest["after_exact_duplicates"]["documents"] += 1
    storage.write_json_atomically(tmp_path / "output" / "manifest.json", manifest)
    with pytest.raises(AssertionError, match="the cluster was left with"):
        here(files(physionet), tmp_path / "c", takeover=Takeover(epath.Path(tmp_path / "output")))


def test_a_job_that_dies_leaves_no_result_and_is_gone_on_with(
    ward, tmp_path, monkeypatch, capfd, caplog
):
    monkeypatch.setattr(csv_blocks, "BLOCK_BYTES", 3000)
    stage_batch = staging.stage_batch
    staged = []

    def stage(unparsed, source, place, *rest):
        if place[1] == dies_at:
            raise pl.exceptions.ComputeError(f"cannot parse {SECRET!r}")
        staged.append(place)
        return stage_batch(unparsed, source, place, *rest)

    monkeypatch.setattr(staging, "stage_batch", stage)
    dies_at, output = 5, tmp_path / "output"
    with pytest.raises(
        RuntimeError, match=r"batch 000-000005 of ward\.jsonl: ComputeError"
    ) as error:
        on_beam(ward, output)
    assert SECRET not in str(error.value) + caplog.text + "".join(capfd.readouterr())
    assert storage.completion(output) is None
    with pytest.raises(UserError, match="no finished result"):
        Takeover(epath.Path(output))
    before, dies_at = list(staged), None
    assert before
    staged.clear()
    told = on_beam(ward, output)
    assert set(staged).isdisjoint(before)
    manifest = here(ward, tmp_path / "corpus")
    assert_same(output, told, tmp_path / "corpus", manifest)


def test_other_options_start_afresh_and_foreign_files_stay(ward, tmp_path):
    first = on_beam(ward, tmp_path / "output")
    second = on_beam(ward, tmp_path / "output", paper=True)
    kept = [told["after_exact_duplicates"]["documents"] for told in (first, second)]
    assert kept[0] < kept[1]
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("three years")
    with pytest.raises(UserError, match="holds other files; name a new or empty directory"):
        on_beam(ward, tmp_path / "mine")
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["thesis.txt"]


def test_strict_names_the_row_and_nothing_of_it(tmp_path):
    path = tmp_path / "notes.csv"
    path.write_text(f"id,text\n1,fine\n,{SECRET}\n")
    with pytest.raises(UserError, match="line 3: no note id") as error:
        on_beam(files(notes=path), tmp_path / "output", strict=True)
    assert "while running" not in str(error.value)
    assert SECRET not in str(error.value)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--papr"], "neither this command nor Apache Beam has an option --papr"),
        (["--parallelism=many"], "an option of Apache Beam is wrong: argument --parallelism"),
    ],
)
def test_flags_that_beam_does_not_know_are_refused(ward, tmp_path, flags, message):
    with pytest.raises(UserError, match=message):
        on_beam(ward, tmp_path / "output", *flags)
    assert not (tmp_path / "output").exists()


@pytest.mark.parametrize("flag", ["--flink_master=host:8081", "--spark_master_url=spark://host",
                                  "--project=p", "--sdk_container_image=i"])  # fmt: skip
def test_flags_of_every_runner_are_passed_on(flag):
    name, _, value = flag[2:].partition("=")
    assert running.options_of(["--runner=X", flag]).get_all_options()[name] == value


@pytest.fixture
def no_pickle(monkeypatch):
    """Beam's coders cannot fall back on pickle."""

    def refuse(data):
        raise AssertionError("an element needs pickle")

    def create(coder):
        return beam.coders.coder_impl.CallbackCoderImpl(refuse, refuse)

    for name in ("PickleCoder", "CloudpickleCoder", "DillCoder"):
        monkeypatch.setattr(getattr(beam.coders.coders, name), "_create_impl", create)


def test_no_element_is_pickled(physionet, tmp_path, no_pickle):
    told = on_beam(files(physionet), tmp_path / "output")
    assert told["after_exact_duplicates"]["documents"] > 0
    flags = beam.options.pipeline_options.PipelineOptions(["--runner=DirectRunner"])
    other = beam.Pipeline(options=flags)
    _ = other | beam.Create([1]) | beam.Map(lambda _: Path("a")) | beam.Reshuffle()
    with pytest.raises(AssertionError, match="needs pickle"):
        other.run().wait_until_finish()


@pytest.fixture
def bucket(tmp_path, monkeypatch):
    """A local folder that `gs://bucket` leads to."""
    root = tmp_path / "bucket"
    root.mkdir()

    def local(path):
        text = os.fspath(path)
        return text.replace("gs://bucket", str(root))

    def remote(path):
        return path.replace(str(root), "gs://bucket")

    monkeypatch.setattr(gpath, "_is_tf_installed", lambda: False)
    by_path = {
        name: lambda original, path, *rest, **named: original(local(path), *rest, **named)
        for name in ("exists", "isdir", "listdir", "makedirs", "mkdir", "open", "remove",
                     "rmtree", "stat")
    }  # fmt: skip
    by_two = {
        name: lambda original, path, other, **named: original(local(path), local(other), **named)
        for name in ("copy", "rename", "replace")
    }
    globbed = {"glob": lambda original, path: [remote(found) for found in original(local(path))]}
    with mock_epath(**by_path, **by_two, **globbed):
        yield root


def test_from_a_bucket_to_a_bucket(physionet, tmp_path, bucket):
    physionet.rename(bucket / "physionet")
    found = files("gs://bucket/physionet")
    told = on_beam(found, "gs://bucket/output")
    takeover = Takeover(epath.Path("gs://bucket/output"))
    manifest = here(found, tmp_path / "corpus", takeover=takeover)
    assert_same(bucket / "output", told, tmp_path / "corpus", manifest)
    assert not list(bucket.glob("**/*partial*"))


def random_notes(seed):
    chosen = random.Random(seed)
    pick = chosen.randrange
    return [
        fates.Note(row, "mimic-iii", chosen.choice("ab"), pick(9), pick(3), pick(2), pick(3),
                   pick(3), pick(3), pick(4), -1)
        for row in range(pick(2, 40))
    ]  # fmt: skip


def by_group(notes, key, rule):
    groups = {}
    for note in notes:
        groups.setdefault(key(note), []).append(note)
    found = [pair for group in groups.values() for pair in rule(group)]
    return sorted((note.row, reason) for note, reason in found)


@pytest.mark.parametrize("seed", range(40))
def test_rules_of_groups_are_those_of_tables(seed):
    notes = random_notes(seed)
    table = pl.DataFrame(notes, schema=fates.Note._fields, orient="row")
    table = table.with_columns(pl.col("row").cast(pl.UInt64))
    drafts = by_group(
        [note for note in notes if fates.may_be_draft(note)],
        lambda note: (note.charttime, note.patient, note.category, note.author),
        fates.earlier_drafts,
    )
    assert [row for row, _ in drafts] == superseded_drafts(table).to_list()
    of_patient, of_others = repeated_texts(table)
    repeats = by_group(notes, lambda note: note.text_hash, fates.repeats)
    assert [row for row, why in repeats if why.endswith("of the patient")] == of_patient.to_list()
    assert [row for row, why in repeats if why.endswith("patient's note")] == of_others.to_list()
