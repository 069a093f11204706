"""Does a pre-trained model copy? Its held-out loss when the answer stands in the input.

    python benchmarks/copying.py --checkpoint runs/study/runs/pretrain --data_dir runs/study/data

Span corruption of short held-out pieces, once as it is ("once") and once with the whole piece put in
front of its corrupted self ("twice"). A model that can look text up and copy it loses next to
nothing on "twice". For checkpoints whose vocabulary is that of the task mimic_pretrain_v1.
"""

from __future__ import annotations

import argparse
import collections
import itertools
import os
from collections.abc import Mapping

import jax
import numpy as np

from clinical_t5x import console

PIECE = {"inputs": 64, "targets": 16}  # doubled it is about as long as a pre-training row
ROWS = 32


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--checkpoint", required=True, help="a MODEL_DIR or a checkpoint of it")
    parser.add_argument("--data_dir", required=True, help="the data home")
    parser.add_argument("--batches", type=int, default=20, help=f"of {ROWS} pieces")
    options = parser.parse_args()
    console.quiet_third_parties()
    os.environ["CLINICAL_T5X_DATA"] = options.data_dir

    from clinical_t5x.data.loader import open_batches
    from clinical_t5x.interactive import load_model
    from clinical_t5x.training.metric_log import per_token

    loaded = load_model(options.checkpoint)
    evaluate = jax.jit(loaded.model.eval_fn)
    held_out = open_batches(
        "mimic_pretrain_v1",
        split="validation",
        feature_lengths=PIECE,
        batch_size=ROWS,
        pack=False,
        shuffle=False,
        seed=0,
        module="tasks.pretrain",
    )
    sums = {"once": collections.Counter(), "twice": collections.Counter()}
    sentinels = np.array(loaded.vocabulary.sentinel_ids())
    for features in itertools.islice(held_out.one_pass(), options.batches):
        for name, batch in (("once", features), ("twice", with_answers(features, sentinels))):
            part = jax.device_get(evaluate(loaded.params, batch)[1])
            sums[name].update({key: float(value) for key, value in part.items()})
    print(f"step {loaded.step:,}, nats per content token")
    for name, total in sums.items():
        print(f"  {name:6} {per_token(total)['content_loss']:.3f}")


def with_answers(
    features: Mapping[str, np.ndarray], sentinels: np.ndarray
) -> dict[str, np.ndarray]:
    """The same batch with each row's uncorrupted text in front of its inputs."""
    rows = []
    for inputs, targets in zip(
        features["encoder_input_tokens"], features["decoder_target_tokens"], strict=True
    ):
        rows.append([*restored(inputs, targets, set(sentinels.tolist())), *inputs[inputs > 0]])
    width = PIECE["inputs"] * 2 + PIECE["targets"]
    doubled = np.zeros((len(rows), width), np.int32)
    for row, tokens in zip(doubled, rows, strict=True):
        row[: len(tokens)] = tokens
    return {**features, "encoder_input_tokens": doubled}


def restored(inputs: np.ndarray, targets: np.ndarray, sentinels: set[int]) -> list[int]:
    """The text before corruption, without its end-of-sequence."""
    spans: dict[int, list[int]] = {}
    for token in targets[targets > 1].tolist():
        if token in sentinels:
            spans[token] = []
        else:
            spans[next(reversed(spans))].append(token)
    tokens = [spans.get(token, [token]) for token in inputs[inputs > 1].tolist()]
    return list(itertools.chain.from_iterable(tokens))


if __name__ == "__main__":
    main()
