"""Two processes evaluate together: every example once, one set of files, the same numbers.

Shows that batches, results and resuming agree between processes on CPU; does not show: speed, or
meshes over the chips of a real pod.
"""

import json
import socket
import subprocess
import sys
import textwrap

import pytest

_PROGRAM = textwrap.dedent(
    """
    import json, pathlib, sys, types
    import jax
    address, index, out = sys.argv[1], int(sys.argv[2]), pathlib.Path(sys.argv[3])
    jax.config.update("jax_platforms", "cpu")
    jax.config.update("jax_num_cpu_devices", 2)
    jax.distributed.initialize(address, num_processes=2, process_id=index)
    import numpy as np
    from jax.sharding import Mesh, NamedSharding, PartitionSpec
    from clinical_t5x.evaluation.evaluator import Evaluator, TaskSpec
    from clinical_t5x.evaluation.metrics import mednli_metrics
    from clinical_t5x.evaluation.predictor import ModelPredictor
    from clinical_t5x.evaluation.results import Provenance

    mesh = Mesh(np.array(jax.devices()), ("data",))
    partitioner = types.SimpleNamespace(batch_sharding=NamedSharding(mesh, PartitionSpec("data")))

    class Words:
        pad_id, eos_id = 0, 1
        def decode(self, ids):
            return {3: "neutral", 4: "entailment"}.get(ids[0], "") if ids else ""

    class Model:
        # Answers with the first input token: enough to see which row went where.
        output_vocabulary = Words()
        decode_fn, default_decoder_params = None, {}
        def predict_batch_with_aux(self, params, batch, return_all_decodes):
            def predict(params, inputs):
                ends = inputs[:, :2].at[:, 1].set(1)
                return ends[:, None], params["scale"] * inputs[:, :1].astype(float)
            tokens, scores = jax.jit(predict)(params, batch["encoder_input_tokens"])
            return tokens, {"scores": scores}
        def score_candidates(self, params, batch):
            # Only the candidate that begins with the first input token costs anything.
            def score(params, inputs, targets):
                return -params["scale"] * targets * (targets == inputs[:, :1])
            features = ("encoder_input_tokens", "decoder_target_tokens")
            return jax.jit(score)(params, *(batch[name] for name in features))

    firsts = [3 + k % 2 for k in range(11)]
    records = [
        {"id": f"q{k}", "unit": f"u{k // 2}", "targets_pretokenized": "neutral"} for k in range(11)
    ]
    tokens = [np.array([first] * (1 + k) + [1], np.int32) for k, first in enumerate(firsts)]
    examples = types.SimpleNamespace(
        records=records, inputs=tokens, targets=tokens, feature_lengths={"targets": 4},
        truncated=0, task_version="v1", synthetic=False,
    )
    pieces = {"neutral": [3, 1], "entailment": [4, 1], "contradiction": [5, 1]}
    task = TaskSpec(
        "t", (mednli_metrics,), lambda text, example, is_target: text, "group", pieces.get
    )
    replicated = NamedSharding(mesh, PartitionSpec())
    scale = jax.make_array_from_callback((), replicated, lambda _: np.float32(2))
    predictor = ModelPredictor(Model(), {"scale": scale}, batch_size=3, partitioner=partitioner)
    evaluator = Evaluator(
        task, examples, split="test", output_dir=out, resamples=50, with_scores=True
    )
    provenance = Provenance("m", "scratch", commit="abc")
    evaluation = evaluator.run(predictor, provenance)
    path = out / "predictions" / "t-test.jsonl"
    if index == 0:  # as if a kill had lost the last four
        path.write_text("".join(path.read_text().splitlines(keepends=True)[:-4]))
    again = evaluator.run(predictor, provenance)
    values = [result.value for result in evaluation.results]
    assert values == [result.value for result in again.results]
    print(json.dumps(values))
    """
)


def test_two_processes_agree_and_write_once(tmp_path):
    with socket.socket() as probe:
        probe.bind(("localhost", 0))
        address = f"localhost:{probe.getsockname()[1]}"
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", _PROGRAM, address, str(index), str(tmp_path)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for index in range(2)
    ]
    outputs = [process.communicate(timeout=120) for process in processes]
    assert [process.returncode for process in processes] == [0, 0], outputs[0][1] + outputs[1][1]
    first, second = (json.loads(out.splitlines()[-1]) for out, _ in outputs)
    assert first == second
    assert first[0] == pytest.approx(6 / 11)
    lines = (tmp_path / "predictions" / "t-test.jsonl").read_text().splitlines()[1:]
    ids = [json.loads(line)["id"] for line in lines]
    assert sorted(ids) == sorted({f"q{k}" for k in range(11)})
    scores = {json.loads(line)["id"]: json.loads(line)["score"] for line in lines}
    assert all(scores[f"q{k}"] == 2 * (3 + k % 2) for k in range(11))
    likely = {json.loads(line)["id"]: json.loads(line)["scores"] for line in lines}
    for k in range(11):
        costs = {"neutral": -6.0 * (k % 2 == 0), "entailment": -8.0 * (k % 2), "contradiction": 0.0}
        for word, value in costs.items():
            assert likely[f"q{k}"][f"log_likelihood:{word}"] == value
