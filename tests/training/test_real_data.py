"""Training, evaluation and inference on real token stores, small ones."""

import collections
import contextlib
import dataclasses
import itertools
import json
import math
import os
import subprocess
import sys

import pytest
from etils import epath

from clinical_t5x.console import UserError
from clinical_t5x.data.home import corpus_directory
from clinical_t5x.data.loader import open_batches
from clinical_t5x.data.vocabulary import ClinicalVocabulary
from clinical_t5x.data.vocabulary_training import VocabularyOptions, train_vocabulary
from clinical_t5x.evaluation.results import find_evaluations
from clinical_t5x.models.config import T5Config
from clinical_t5x.models.encoder_decoder import EncoderDecoderModel
from clinical_t5x.models.network import Transformer
from clinical_t5x.partitioning import PjitPartitioner
from clinical_t5x.training import checkpoints
from clinical_t5x.training.config import (
    CheckpointConfig,
    DatasetConfig,
    RestoreCheckpointConfig,
    SaveCheckpointConfig,
)
from clinical_t5x.training.evaluate import evaluate
from clinical_t5x.training.infer import infer
from clinical_t5x.training.metric_log import read_metrics
from clinical_t5x.training.optimizer import Adafactor
from tests.data import tiny
from tests.training import standin

LENGTHS = {"inputs": 64, "targets": 32}


def configured(task, split, **options):
    settings = {
        "mixture_or_task_name": f"{task}_v1",
        "task_feature_lengths": LENGTHS,
        "split": split,
        "batch_size": 4,
        "shuffle": split == "train",
        "seed": None if split == "train" else 42,
        "pack": split == "train",
        "module": "tasks.pretrain" if task == "mimic_pretrain" else f"tasks.{task}",
    }
    return DatasetConfig(**(settings | options))


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A data home, a tiny model, and its pre-training and fine-tuning runs."""
    root = tmp_path_factory.mktemp("real")
    before = os.environ.get("CLINICAL_T5X_DATA")
    os.environ["CLINICAL_T5X_DATA"] = str(tiny.make_home(epath.Path(root)))
    vocabulary = ClinicalVocabulary()
    rows = -(-vocabulary.vocab_size // 128) * 128
    network = T5Config(
        rows, emb_dim=16, num_heads=2, head_dim=8, mlp_dim=32, dropout_rate=0.0,
        num_encoder_layers=1, num_decoder_layers=1,
    )  # fmt: skip
    model = EncoderDecoderModel(Transformer(network), vocabulary, vocabulary, Adafactor())
    standin.run(
        root / "pretrain",
        model=model,
        get_dataset_fn=None,
        total_steps=2,
        train_dataset_cfg=configured("mimic_pretrain", "train"),
        train_eval_dataset_cfg=configured("mimic_pretrain", "validation"),
        eval_period=2,
    )
    standin.run(
        root / "finetune",
        model=model,
        get_dataset_fn=None,
        relative_steps=2,
        train_dataset_cfg=configured("mednli", "train"),
        infer_eval_dataset_cfg=configured("mednli", "validation", task_feature_lengths=None),
        eval_period=2,
        checkpoint_cfg=CheckpointConfig(
            SaveCheckpointConfig(), RestoreCheckpointConfig(str(root / "pretrain"))
        ),
    )
    yield root, model
    if before is None:
        del os.environ["CLINICAL_T5X_DATA"]
    else:
        os.environ["CLINICAL_T5X_DATA"] = before


def checkpoint(root, mode="latest"):
    return RestoreCheckpointConfig(str(root / "finetune"), mode)


def test_pretraining_reports_the_loss_of_content(trained):
    by_split = {point["split"]: point for point in read_metrics(trained[0] / "pretrain")}
    assert by_split["train"]["content_loss"] > 1.0
    assert by_split["eval/mimic_pretrain_v1"]["content_loss"] > 1.0


def test_pretraining_records_the_unigram_entropy_of_the_held_out_targets(trained):
    root, model = trained
    batches = open_batches(
        "mimic_pretrain_v1", split="validation", feature_lengths=LENGTHS, batch_size=4,
        pack=False, shuffle=False, seed=42,
    )  # fmt: skip
    steps = json.loads((root / "pretrain" / "unigram_entropy.json").read_text())
    end = model.output_vocabulary.vocab_size
    left_out = {0, 1, *range(end - 100, end)}
    chosen = itertools.islice(batches.one_pass(), 2)
    targets = [batch["decoder_target_tokens"].ravel().tolist() for batch in chosen]
    content = [token for part in targets for token in part if token not in left_out]
    shares = [n / len(content) for n in collections.Counter(content).values()]
    assert steps["unigram_entropy"] == pytest.approx(-sum(p * math.log(p) for p in shares))
    assert (steps["content_tokens"], steps["split"]) == (len(content), "eval/mimic_pretrain_v1")


def test_only_pretraining_records_an_entropy(trained):
    assert not (trained[0] / "finetune" / "unigram_entropy.json").exists()


def other_vocabulary(root):
    """Another vocabulary of the same size."""
    home = epath.Path(os.environ["CLINICAL_T5X_DATA"])
    directory = root / "other_vocabulary"
    options = VocabularyOptions(size=500, seed=9, max_words=400)
    train_vocabulary(corpus_directory("clinical", home), directory, options)
    return ClinicalVocabulary(str(directory / "sentencepiece.model"))


def test_another_vocabulary_than_the_models_is_refused(trained, tmp_path):
    root, model = trained
    foreign = other_vocabulary(tmp_path)
    stranger = EncoderDecoderModel(model.module, foreign, foreign, model.optimizer_def)
    with pytest.raises(UserError, match="bind VOCABULARY"):
        standin.run(
            tmp_path / "run", model=stranger, get_dataset_fn=None, total_steps=2,
            train_dataset_cfg=configured("mimic_pretrain", "train"),
        )  # fmt: skip
    assert not (tmp_path / "run").exists()
    with pytest.raises(UserError, match="inputs of mednli_v1"):
        evaluate(
            model=stranger, dataset_cfg=configured("mednli", "test", task_feature_lengths=None),
            restore_checkpoint_cfg=checkpoint(root), partitioner=PjitPartitioner(),
            output_dir=str(tmp_path / "eval"),
        )  # fmt: skip


def test_decoded_evaluation_is_part_of_training(trained):
    root, _ = trained
    by_split = {point["split"]: point for point in read_metrics(root / "finetune")}
    assert 0.0 <= by_split["inference_eval/mednli_v1"]["accuracy"] <= 1.0
    (line,) = (root / "finetune/inference_eval/mednli_v1-metrics.jsonl").read_text().splitlines()
    assert json.loads(line)["step"] == 4


def accuracy(evaluation):
    return next(result for result in evaluation.results if result.metric == "accuracy")


def test_evaluate_scores_the_newest_checkpoint(trained, tmp_path, capsys):
    root, model = trained
    (evaluation,) = evaluate(
        model=model,
        dataset_cfg=configured("mednli", "test", task_feature_lengths=None),
        restore_checkpoint_cfg=checkpoint(root),
        partitioner=PjitPartitioner(),
        output_dir=str(tmp_path),
    )
    result = accuracy(evaluation)
    assert (result.checkpoint_step, result.initialisation, result.seed) == (4, "pretrained", 3)
    assert result.n == 6
    assert result.synthetic
    assert "mednli_v1 at step 4: accuracy" in capsys.readouterr().out
    assert [accuracy(found) for found in find_evaluations([tmp_path])] == [result]


def inferred(trained, output_dir, mode, *, batch_size=4, dtype="float32", **options):
    root, model = trained
    return infer(
        mode=mode,
        model=model,
        dataset_cfg=dataclasses.replace(configured("mednli", "test"), batch_size=batch_size),
        restore_checkpoint_cfg=dataclasses.replace(checkpoint(root), dtype=dtype),
        partitioner=PjitPartitioner(),
        output_dir=str(output_dir),
        **{"checkpoint_period": 1, **options},
    )


def lines_of(file):
    return [json.loads(line) for line in file.read_text().splitlines()]


def test_infer_writes_one_line_an_example_without_text(trained, tmp_path):
    file = inferred(trained, tmp_path, "predict")
    assert file.name == "mednli_v1-predict.jsonl-00000-of-00001"
    assert (tmp_path / f"{file.name}.COMPLETED").exists()
    lines = lines_of(file)
    assert len(lines) == 6
    assert all(line.keys() == {"inputs", "prediction"} for line in lines)
    assert all(line["inputs"].keys() == {"id"} for line in lines)
    before = file.stat()
    assert inferred(trained, tmp_path, "predict").stat() == before  # complete: not done again


def test_infer_scores_targets_and_shows_text_on_request(trained, tmp_path):
    lines = lines_of(inferred(trained, tmp_path, "score", with_text=True))
    assert all(line["score"] < 0 for line in lines)
    assert {line["inputs"]["targets_pretokenized"] for line in lines} == {
        "entailment",
        "neutral",
        "contradiction",
    }


def test_infer_in_shards_and_with_scores_covers_every_example(trained, tmp_path):
    parts = [
        lines_of(inferred(trained, tmp_path, "predict_with_aux", shard_id=shard, num_shards=2))
        for shard in range(2)
    ]
    assert [len(part) for part in parts] == [3, 3]
    ids = {line["inputs"]["id"] for part in parts for line in part}
    assert len(ids) == 6
    assert all(line["aux"]["scores"] < 0 for part in parts for line in part)


def test_infer_goes_on_after_its_last_chunk(trained, tmp_path, monkeypatch):
    from clinical_t5x.evaluation.predictor import ModelPredictor

    whole = inferred(trained, tmp_path / "whole", "predict").read_text()
    calls = []
    generate = ModelPredictor.generate

    def fail_at_the_second_chunk(self, requests, *, max_target_tokens):
        calls.append(len(requests))
        if len(calls) == 2:
            raise KeyboardInterrupt
        return generate(self, requests, max_target_tokens=max_target_tokens)

    monkeypatch.setattr(ModelPredictor, "generate", fail_at_the_second_chunk)
    with pytest.raises(KeyboardInterrupt):
        inferred(trained, tmp_path / "parts", "predict")
    assert not list((tmp_path / "parts").glob("*.COMPLETED"))
    assert inferred(trained, tmp_path / "parts", "predict").read_text() == whole
    assert calls == [4, 2, 2]
    assert not list((tmp_path / "parts").glob("tmp-*"))


@pytest.mark.parametrize("scan_layers", [False, True])
def test_parameters_of_another_vocabulary_are_refused(trained, scan_layers):
    """A vocabulary made anew under the old name, say; the shapes need not tell."""
    root, model = trained
    position = checkpoints.read_position(root / "finetune" / "checkpoint_4")
    assert position["vocabularies"].keys() == {"inputs", "targets"}
    network = dataclasses.replace(model.config, scan_layers=scan_layers)
    for vocabulary, refused in (
        (ClinicalVocabulary(), False),
        (ClinicalVocabulary(None, 99), True),
    ):
        other = EncoderDecoderModel(Transformer(network), vocabulary, vocabulary, Adafactor())
        context = pytest.raises(UserError, match="trained with another vocabulary for its inputs")
        with context if refused else contextlib.nullcontext():
            checkpoints.restore_params(root / "finetune", other, PjitPartitioner())


def interrupt_the_second_chunk(monkeypatch, do):
    """Let `do` happen when the second chunk is asked for, once."""
    from clinical_t5x.evaluation.predictor import ModelPredictor

    score, calls = ModelPredictor.score, []

    def interrupted(self, requests, targets):
        calls.append(len(requests))
        if len(calls) == 2:
            do()
        return score(self, requests, targets)

    monkeypatch.setattr(ModelPredictor, "score", interrupted)


def stop():
    raise KeyboardInterrupt


@pytest.mark.parametrize("batch_size", [1, 3, 8])
def test_infer_goes_on_in_other_batches(trained, tmp_path, monkeypatch, batch_size):
    whole = lines_of(inferred(trained, tmp_path / "whole", "score"))
    interrupt_the_second_chunk(monkeypatch, stop)
    with pytest.raises(KeyboardInterrupt):
        inferred(trained, tmp_path / "parts", "score", batch_size=2)
    found = lines_of(inferred(trained, tmp_path / "parts", "score", batch_size=batch_size))
    assert [line["inputs"] for line in found] == [line["inputs"] for line in whole]
    assert [line["score"] for line in found] == pytest.approx([line["score"] for line in whole])


def test_infer_with_other_weights_begins_anew(trained, tmp_path, monkeypatch):
    """Also where the checkpoint has the same path: what counts is what was read from it."""
    rounded = inferred(trained, tmp_path / "rounded", "score", dtype="bfloat16").read_text()
    place = tmp_path / "place"
    exact = inferred(trained, place, "score").read_text()
    assert inferred(trained, place, "score", dtype="bfloat16").read_text() == rounded != exact
    interrupt_the_second_chunk(monkeypatch, stop)
    with pytest.raises(KeyboardInterrupt):
        inferred(trained, place, "score")
    monkeypatch.undo()
    assert inferred(trained, place, "score", dtype="bfloat16").read_text() == rounded
    assert not list(place.glob("tmp-*"))


def test_infer_shares_its_file_with_no_other_process(trained, tmp_path):
    lock = tmp_path / ".mednli_v1-score.jsonl-00000-of-00001.lock"
    hold = f"import fcntl; f = open({str(lock)!r}, 'w'); fcntl.lockf(f, fcntl.LOCK_EX); "
    hold += "print('held', flush=True); input()"
    other = subprocess.Popen(
        [sys.executable, "-c", hold], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert other.stdout.readline() == "held\n"
    with pytest.raises(UserError, match=r"another process is writing .*; wait for it"):
        inferred(trained, tmp_path, "score")
    other.communicate("\n")
    assert len(lines_of(inferred(trained, tmp_path, "score"))) == 6


@pytest.mark.parametrize(
    "number", [{"batch_size": None}, {"checkpoint_period": "abc"}, {"num_shards": 2.5}]
)
def test_infer_names_impossible_numbers(trained, tmp_path, number):
    with pytest.raises(UserError, match="must be a whole number, at least 1"):
        inferred(trained, tmp_path, "score", **number)


def test_infer_refuses_what_it_cannot_do(trained, tmp_path):
    with pytest.raises(UserError, match=r"infer.mode = 'guess'"):
        inferred(trained, tmp_path, "guess")
    with pytest.raises(UserError, match="shard_id = 2"):
        inferred(trained, tmp_path, "predict", shard_id=2, num_shards=2)
