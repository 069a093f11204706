"""MedNLI's second test set (BioNLP 2019): its notes' patients are left out of the corpus too."""

import json

from etils import epath

from clinical_t5x.corpus import benchmark_ids
from tests.data import tiny


def test_its_premises_and_texts_count_as_test_texts(tmp_path):
    physionet = epath.Path(tmp_path)
    tiny.write_physionet(physionet)
    files = physionet / "physionet.org" / "files"
    shared = files / "mednli-bionlp19" / "1.0.1" / "mednli_bionlp19_shared_task.jsonl"
    pair = {"pairID": "s", "sentence1": "Has gout in one toe.", "sentence2": "He has gout."}
    shared.write_text(json.dumps(pair))
    labels = [label for label, _ in benchmark_ids.files(physionet)]
    assert "mednli-bionlp19/1.0.1/mednli_bionlp19_shared_task.jsonl" in labels
    assert "Has gout in one toe." in benchmark_ids.mednli_premises(physionet)
    texts = benchmark_ids.texts(physionet, benchmark_ids.MEDNLI)
    assert {"Has gout in one toe.", "He has gout."} <= set(texts["test"])
    assert "He has gout." not in texts["train"]
    shared.parent.rmtree()
    assert "Has gout in one toe." not in benchmark_ids.mednli_premises(physionet)
    assert len(benchmark_ids.files(physionet)) == len(labels) - 1


def test_it_does_not_stand_for_mednli(tmp_path):
    physionet = epath.Path(tmp_path)
    tiny.write_physionet(physionet)
    (physionet / "physionet.org" / "files" / "mednli").rmtree()
    assert not benchmark_ids.present(physionet, benchmark_ids.MEDNLI)
    assert not [label for label, _ in benchmark_ids.files(physionet) if "mednli" in label]
