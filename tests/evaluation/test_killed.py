"""A process that a kill -9 ends in the middle of an evaluation with scores, and the one after it.

Shows that finished examples, scores included, are not predicted again, and that the metrics are
those of an evaluation in one go.
"""

import json
import signal
import subprocess
import sys
import textwrap

import pytest

pytestmark = pytest.mark.long_file

_PROGRAM = textwrap.dedent(
    """
    import json, os, pathlib, signal, sys
    out, kill_after = pathlib.Path(sys.argv[1]), int(sys.argv[2])
    import jax
    from clinical_t5x.evaluation.evaluator import Evaluator
    from clinical_t5x.evaluation.predictor import ModelPredictor
    from tests.evaluation import test_likelihood as tiny

    model = tiny.make_model()
    params = tiny.silent_params(model, model.init_params(jax.random.key(3)))

    class Mortal(ModelPredictor):
        asked = []
        def generate(self, requests, **limit):
            for count, (position, found) in enumerate(super().generate(requests, **limit)):
                if count == kill_after:
                    os.kill(os.getpid(), signal.SIGKILL)
                self.asked.append(requests[position].id)
                yield position, found

    golds = [["ab", "a"], [], ["c"], [], [], ["no"]] * 3
    evaluator = Evaluator(
        tiny.RADQA, tiny._examples(golds), split="validation", output_dir=out, resamples=20,
        with_scores=True,
    )
    evaluation = evaluator.run(Mortal(model, params, batch_size=4), tiny.STEP)
    values = {result.metric: result.value for result in evaluation.results}
    print(json.dumps({"asked": Mortal.asked, "values": values}))
    """
)


def _run(out, kill_after):
    command = [sys.executable, "-c", _PROGRAM, str(out), str(kill_after)]
    return subprocess.run(command, capture_output=True, text=True, timeout=300)


def _finished(out):
    (path,) = (out / "predictions").glob("*.jsonl")
    whole = path.read_text().rsplit("\n", 1)[0].split("\n")
    return [json.loads(line)["id"] for line in whole[1:]]


def test_kill_9_costs_at_most_what_was_in_work(tmp_path):
    killed = _run(tmp_path / "killed", kill_after=13)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    finished = _finished(tmp_path / "killed")
    assert finished
    assert len(finished) == len(set(finished)) < 18
    assert not (tmp_path / "killed" / "results").exists()
    resumed = _run(tmp_path / "killed", kill_after=-1)
    assert resumed.returncode == 0, resumed.stderr
    told = json.loads(resumed.stdout.splitlines()[-1])
    assert sorted(told["asked"] + finished) == sorted(f"q{k}" for k in range(18))
    assert sorted(_finished(tmp_path / "killed")) == sorted(f"q{k}" for k in range(18))
    whole = _run(tmp_path / "whole", kill_after=-1)
    expected = json.loads(whole.stdout.splitlines()[-1])["values"]
    assert told["values"] == pytest.approx(expected, rel=1e-3)
