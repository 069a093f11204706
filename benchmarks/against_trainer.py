"""Our fine-tuning beside the same written directly for Hugging Face: MedNLI and CLIP.

    python benchmarks/against_trainer.py --physionet DIR --data_dir DATA --task clip
    python benchmarks/against_trainer.py --physionet DIR --data_dir DATA --reference loop

Trains one tiny encoder with `python -m clinical_t5x.finetune` and again without any of this
project's training and evaluation code, with the same hyperparameters, and compares test scores
(accuracy; micro F1 at thresholds tuned on validation): the reference's must lie within our interval
(95 %, by premise or summary), seeds averaged. The exit code is 1 where it does not.

The reference reads the published files itself; only de-identified spans and CLIP's windows are made
by the project's functions, since what a model reads must be the same text. `trainer` is
transformers.Trainer with its own collator, batches, schedule, optimizer and choice of the best
epoch (it needs the package accelerate); `loop` is a loop of a page around torch.optim and
transformers' linear schedule, with plainly shuffled batches. Both score with scikit-learn.

DIR holds a synthetic PhysioNet, DATA the data home prepared from it, with the vocabulary.
"""

from __future__ import annotations

import argparse
import ast
import csv
import functools
import importlib.util
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile

import numpy as np

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

LABELS = ("entailment", "neutral", "contradiction")
FOLLOW_UPS = (
    "I-Appointment-related followup",
    "I-Case-specific instructions for patient",
    "I-Imaging-related followup",
    "I-Lab-related followup",
    "I-Medication-related followups",
    "I-Other helpful contextual information",
    "I-Procedure-related followup",
)
METRIC = {"mednli": "accuracy", "clip": "micro_f1"}
CHOOSES = {"mednli": "accuracy", "clip": "macro_f1"}  # the best epoch
FILES = {"train": "mli_train_v1", "validation": "mli_dev_v1", "test": "mli_test_v1"}
REFERENCES = ("trainer", "loop")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--physionet", required=True, type=pathlib.Path)
    parser.add_argument("--data_dir", required=True, type=pathlib.Path)
    parser.add_argument("--task", choices=METRIC, default="mednli")
    parser.add_argument("--reference", choices=REFERENCES, default="trainer")
    parser.add_argument("--model", default="bert", help="a family or row, made tiny (%(default)s)")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--rate", type=float, default=1e-3)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--tokens", type=int, default=128)
    parser.add_argument("--work", type=pathlib.Path, help="where runs go and stay")
    parser.add_argument("--json", type=pathlib.Path)
    parser.add_argument("--seed_of_reference", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.seed_of_reference is not None:
        print(json.dumps(reference(options)))
        return
    if options.reference == "trainer" and not importlib.util.find_spec("accelerate"):
        parser.error(
            "transformers.Trainer needs accelerate: pip install accelerate, or take the loop"
        )
    options.work = options.work or pathlib.Path(tempfile.mkdtemp(prefix="against_trainer_"))
    make_model(options)
    rows = [compare(options, seed) for seed in options.seeds]
    sys.exit(0 if show(options, rows) else 1)


def make_model(options) -> None:
    if not (options.work / "model").exists():
        run(
            "-m", "clinical_t5x.finetune", "--make_tiny", options.model,
            "--out", options.work / "model", "--data_dir", options.data_dir,
        )  # fmt: skip


def compare(options, seed: int) -> dict:
    """Both ways with one seed."""
    out = options.work / f"ours_{options.task}_{seed}"
    run(
        "-m", "clinical_t5x.finetune", "--model", options.work / "model", "--task", options.task,
        "--data_dir", options.data_dir, "--preset", "laptop", "--pair", "--seed", seed,
        "--epochs", options.epochs, "--learning_rates", options.rate,
        "--batch_size", options.batch, "--rows_at_once", options.batch, "--warmup", 0.1,
        "--weight_decay", 0.01, "--max_tokens", options.tokens, "--device", "cpu", "--out", out,
    )  # fmt: skip
    (path,) = (out / "results").glob(f"{options.task}_v1-test*/results.json")
    results = json.loads(path.read_text())["results"]
    ours = next(result for result in results if result["metric"] == METRIC[options.task])
    given = [*sys.argv[1:], f"--work={options.work}", f"--seed_of_reference={seed}"]
    theirs = json.loads(run(__file__, *given).splitlines()[-1])
    row = {
        "seed": seed,
        "n": ours["n"],
        "units": ours["n_units"],
        "ours": ours["value"],
        "low": ours["low"],
        "high": ours["high"],
        **theirs,
    }
    print(line(row), flush=True)
    return row


def line(row: dict) -> str:
    return (
        f"seed {row['seed']}: ours {row['ours']:.4f} [{row['low']:.4f}, {row['high']:.4f}],"
        f" reference {row['test']:.4f} (best epoch {row['epoch']}, validation"
        f" {row['validation']:.4f})"
    )


def show(options, rows: list[dict]) -> bool:
    mean = {
        name: statistics.mean(row[name] for row in rows) for name in ("ours", "test", "low", "high")
    }
    agrees = mean["low"] <= mean["test"] <= mean["high"]
    print(
        f"{options.task}, mean of {len(rows)} seeds, {rows[0]['n']} examples of"
        f" {rows[0]['units']} units, {METRIC[options.task]}: ours"
        f" {mean['ours']:.4f} [{mean['low']:.4f}, {mean['high']:.4f}], {options.reference}"
        f" {mean['test']:.4f}: {'within' if agrees else 'OUTSIDE'} the interval"
    )
    if options.json:
        options.json.write_text(json.dumps({"rows": rows, "mean": mean}, indent=1) + "\n")
    return agrees


def run(*command) -> str:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(
        [sys.executable, *map(str, command)], cwd=ROOT, env=environment, stdout=subprocess.PIPE,
        text=True,
    )  # fmt: skip
    if done.returncode:
        raise SystemExit(f"failed: {' '.join(map(str, command))}")
    return done.stdout


def read_pairs(physionet: pathlib.Path) -> dict[str, list[tuple[str, str, int]]]:
    """Premise, hypothesis and number of the label of each line of the published files."""
    from clinical_t5x.corpus.deid_tags import replace_tags

    found = {}
    for split, name in FILES.items():
        (path,) = physionet.rglob(f"{name}.jsonl")
        items = [json.loads(text) for text in path.read_text().splitlines()]
        found[split] = [
            (
                replace_tags(item["sentence1"])[0],
                replace_tags(item["sentence2"])[0].strip(),
                LABELS.index(item["gold_label"]),
            )
            for item in items
        ]
    return found


def read_sentences(physionet: pathlib.Path, count_tokens, tokens: int) -> dict[str, list]:
    """Text and labels of each sentence of the published files, in the window that the task has."""
    from clinical_t5x.corpus.deid_tags import replace_tags
    from clinical_t5x.data.text_windows import repeated_in_window

    (table,) = physionet.rglob("sentence_level.csv")
    documents: dict[str, list] = {}
    with table.open(newline="") as file:
        for row in csv.DictReader(file):
            words, labels = ast.literal_eval(row["sentence"]), ast.literal_eval(row["labels"])
            documents.setdefault(row["doc_id"], []).append((" ".join(words), labels))
    found = {}
    for split, name in (("train", "train_ids"), ("validation", "val_ids"), ("test", "test_ids")):
        found[split] = []
        for document in (table.parent / f"{name}.csv").read_text().split():
            sentences = documents[document]
            for k, (sentence, labels) in enumerate(sentences):
                parts = (
                    " ".join(text for text, _ in sentences[:k]),
                    sentence,
                    " ".join(text for text, _ in sentences[k + 1 :]),
                )
                text, _ = repeated_in_window(
                    *(replace_tags(part)[0] for part in parts), tokens=tokens - 1, cost=count_tokens
                )
                found[split].append((text, [float(label in labels) for label in FOLLOW_UPS]))
    return found


def reference(options) -> dict:
    """The best epoch's scores without this project's code."""
    import torch
    import transformers

    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    torch.set_num_threads(1)
    seed = options.seed_of_reference
    transformers.set_seed(seed)
    tokenizer = transformers.AutoTokenizer.from_pretrained(options.work / "model")
    is_clip = options.task == "clip"
    model = transformers.AutoModelForSequenceClassification.from_pretrained(
        options.work / "model",
        num_labels=len(FOLLOW_UPS if is_clip else LABELS),
        problem_type="multi_label_classification" if is_clip else "single_label_classification",
    )
    if is_clip:
        cost = functools.lru_cache(None)(
            lambda text: len(tokenizer(text, add_special_tokens=False)["input_ids"])
        )
        read = read_sentences(options.physionet, cost, options.tokens)
        texts = {split: [((text,), label) for text, label in rows] for split, rows in read.items()}
    else:
        read = read_pairs(options.physionet)
        texts = {split: [((a, b), label) for a, b, label in rows] for split, rows in read.items()}
    data = {
        split: [
            {**tokenizer(*one, truncation=True, max_length=options.tokens), "labels": label}
            for one, label in rows
        ]
        for split, rows in texts.items()
    }
    way = {"trainer": with_trainer, "loop": with_loop}[options.reference]
    return way(options, seed, tokenizer, model, data)


def scores(task: str, gold, logits, thresholds=None) -> tuple[dict[str, float], np.ndarray | None]:
    """Metrics, and thresholds: the best for each label's F1 where none are given."""
    from sklearn.metrics import accuracy_score, f1_score, precision_recall_curve

    gold = np.asarray(gold)
    if task == "mednli":
        return {"accuracy": float(accuracy_score(gold, logits.argmax(-1)))}, None
    p = 1 / (1 + np.exp(-logits))
    if thresholds is None:
        thresholds = []
        for k in range(gold.shape[1]):
            precision, recall, cuts = precision_recall_curve(gold[:, k], p[:, k])
            f1 = 2 * precision * recall / np.maximum(precision + recall, 1e-9)
            thresholds.append(cuts[f1[:-1].argmax()] if gold[:, k].any() else 0.5)
    given = p >= np.asarray(thresholds)
    found = {
        f"{kind}_f1": float(f1_score(gold, given, average=kind, zero_division=0))
        for kind in ("micro", "macro")
    }
    return found, np.asarray(thresholds)


def with_trainer(options, seed, tokenizer, model, data) -> dict:
    import transformers

    def metrics(found) -> dict:
        return scores(options.task, found.label_ids, found.predictions)[0]

    arguments = transformers.TrainingArguments(
        output_dir=str(options.work / f"trainer_{options.task}_{seed}"),
        num_train_epochs=options.epochs,
        learning_rate=options.rate,
        per_device_train_batch_size=options.batch,
        per_device_eval_batch_size=64,
        weight_decay=0.01,
        warmup_steps=0.1,  # of all updates
        lr_scheduler_type="linear",
        eval_strategy="epoch",
        save_strategy="epoch",
        save_total_limit=1,
        load_best_model_at_end=True,
        metric_for_best_model=CHOOSES[options.task],
        seed=seed,
        use_cpu=True,
        report_to=[],
        disable_tqdm=True,
    )
    trainer = transformers.Trainer(
        model=model,
        args=arguments,
        train_dataset=data["train"],
        eval_dataset=data["validation"],
        data_collator=transformers.DataCollatorWithPadding(tokenizer),
        compute_metrics=metrics,
    )
    trainer.train()
    validation, test = (trainer.predict(data[split]) for split in ("validation", "test"))
    found, thresholds = scores(options.task, validation.label_ids, validation.predictions)
    of_test, _ = scores(options.task, test.label_ids, test.predictions, thresholds)
    chosen = f"eval_{CHOOSES[options.task]}"
    best = max(
        (entry for entry in trainer.state.log_history if chosen in entry),
        key=lambda entry: entry[chosen],
    )
    return {
        "test": of_test[METRIC[options.task]],
        "validation": found[CHOOSES[options.task]],
        "epoch": round(best["epoch"]),
    }


def with_loop(options, seed, tokenizer, model, data) -> dict:
    import torch
    import transformers
    from torch.utils.data import DataLoader

    collate = transformers.DataCollatorWithPadding(tokenizer)

    def scored(split: str, thresholds=None):
        model.eval()
        logits = []
        with torch.no_grad():
            for batch in DataLoader(data[split], 64, collate_fn=collate):
                batch.pop("labels")
                logits.append(model(**batch).logits.numpy())
        gold = [row["labels"] for row in data[split]]
        return scores(options.task, gold, np.concatenate(logits), thresholds)

    order = torch.Generator().manual_seed(seed)
    loader = DataLoader(data["train"], options.batch, True, collate_fn=collate, generator=order)
    updates = options.epochs * len(loader)
    optimizer = torch.optim.AdamW(model.parameters(), lr=options.rate, weight_decay=0.01)
    schedule = transformers.get_linear_schedule_with_warmup(optimizer, updates // 10, updates)
    best = {"validation": -1.0}
    for epoch in range(1, options.epochs + 1):
        model.train()
        for batch in loader:
            model(**batch).loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            schedule.step()
            optimizer.zero_grad()
        found, thresholds = scored("validation")
        if found[CHOOSES[options.task]] > best["validation"]:
            test = scored("test", thresholds)[0][METRIC[options.task]]
            best = {"test": test, "validation": found[CHOOSES[options.task]], "epoch": epoch}
    return best


if __name__ == "__main__":
    main()
