"""Training is what a plain loop around Hugging Face's own losses does, update for update."""

import dataclasses

import numpy as np
import pytest

from clinical_t5x.baselines.finetuning.batches import batches_of_epoch
from clinical_t5x.baselines.finetuning.reading import KINDS
from clinical_t5x.baselines.finetuning.settings import Settings
from tests.baselines import examples

SETTINGS = Settings(
    learning_rates=(2e-3,), epochs=4, batch_size=3, rows_at_once=3, warmup=0.25, weight_decay=0.0,
    clip_norm=0.5, max_tokens={"mednli": 64, "radqa": 64, "clip": 64}, overlap=8, pair=True,
)  # fmt: skip


def _plain(model_directory, rows, updates, kind, *, seed):
    """The weights after some updates: Hugging Face's model, loss, schedule; nothing of ours."""
    import torch
    import transformers

    heads = {
        "mednli": ("AutoModelForSequenceClassification", 3, "single_label_classification"),
        "clip": ("AutoModelForSequenceClassification", 7, "multi_label_classification"),
    }
    name, classes, problem = heads[kind]
    torch.manual_seed(seed)
    model = getattr(transformers, name).from_pretrained(
        model_directory, num_labels=classes, problem_type=problem, dtype=torch.float32
    )
    model.train()
    per_epoch = len(batches_of_epoch([len(r.ids) for r in rows], 3, seed=seed, epoch=0))
    total = SETTINGS.epochs * per_epoch
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3, weight_decay=0.0)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer,
        # transformers' schedule begins with an update at rate 0; ours does not
        lambda k: min((k + 1) / (total * 0.25), (total - k) / (total * 0.75), 1.0),
    )
    for update in range(updates):
        epoch, within = divmod(update, per_epoch)
        chosen = batches_of_epoch([len(r.ids) for r in rows], 3, seed=seed, epoch=epoch)[within]
        width = max(len(rows[k].ids) for k in chosen)
        ids = [
            rows[k].ids + [model.config.pad_token_id] * (width - len(rows[k].ids)) for k in chosen
        ]
        mask = [[1] * len(rows[k].ids) + [0] * (width - len(rows[k].ids)) for k in chosen]
        loss = model(
            input_ids=torch.tensor(ids),
            attention_mask=torch.tensor(mask),
            labels=torch.tensor([rows[k].label for k in chosen]),
        ).loss
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 0.5)
        optimizer.step()
        schedule.step()
    return {name: value.numpy() for name, value in model.state_dict().items()}


@pytest.mark.parametrize("kind", ["mednli", "clip"])
@pytest.mark.parametrize("rows_at_once", [3, 2])
def test_the_weights_are_those_of_a_plain_loop(tiny_models, tmp_path, kind, rows_at_once):
    from safetensors.numpy import load_file

    from clinical_t5x.baselines.finetuning import loading, problems, run
    from clinical_t5x.storage import read_json

    model = tiny_models("bioclinical_modernbert")  # without dropout, whose draws would differ
    settings = dataclasses.replace(SETTINGS, rows_at_once=rows_at_once)
    benchmark = examples.benchmark_of(kind)
    run.fine_tune(run.make_run(model, benchmark, settings, tmp_path, device="cpu", seed=5))
    encoder = loading.find_pretrained(model).encoder(64)
    rows, _ = problems.problem_of(KINDS[kind], encoder, settings).rows(benchmark.train.records)
    updates = read_json(tmp_path / "model" / "finetuned.json")["step"]
    theirs = _plain(model, rows, updates, kind, seed=5)
    ours = load_file(tmp_path / "model" / "model.safetensors")
    assert updates >= 3 and ours.keys() == theirs.keys()
    for name, array in theirs.items():
        np.testing.assert_allclose(ours[name], array, atol=3e-5, err_msg=name)
