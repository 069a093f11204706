"""What an evaluation spends beside decoding, and what a kill costs it.

    python benchmarks/evaluation_overhead.py --data_dir DATA
    python benchmarks/evaluation_overhead.py --data_dir DATA --examples 16 --with_scores

Decodes CLIP sentences of the test split with a model of random parameters, and prints how the time
is spent: input (opening the split, padding batches), decoding (the model's program, until its
result is there), compiling (each shape's first batch, which is left out of the shares), scores by
likelihood, and scoring (text, metrics, files, intervals). Then a second process is killed with
SIGKILL in the middle and started again: no example that was finished is decoded twice.

DATA is a data home with the data set clip and the vocabulary "clinical"; random parameters say
nothing about answers, and end them late: decoding is as long as its limit allows.
"""

from __future__ import annotations

import argparse
import collections
import json
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

TASK, MODULE, SPLIT = "clip_v1", "tasks.clip", "test"
DECODED, REPORT = "decoded.txt", "report.json"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data_dir", help="data home (default $CLINICAL_T5X_DATA)")
    parser.add_argument("--examples", type=int, default=500)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--beams", type=int, default=5, help="the paper's for CLIP")
    parser.add_argument("--model", default="clinical_base", help="a file of gin/models")
    parser.add_argument("--with_scores", action="store_true")
    parser.add_argument("--json", type=pathlib.Path)
    parser.add_argument("--run", type=pathlib.Path, help=argparse.SUPPRESS)
    parser.add_argument("--kill_after", type=int, default=0, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.data_dir:
        os.environ["CLINICAL_T5X_DATA"] = os.path.abspath(options.data_dir)
    if options.run is not None:
        _evaluate(options)
        return
    with tempfile.TemporaryDirectory(prefix="evaluation_overhead_") as work:
        report = _timed(pathlib.Path(work) / "whole") | _killed(
            pathlib.Path(work) / "killed", options.examples
        )
    _show(report, options)
    if options.json:
        options.json.write_text(json.dumps(report, indent=1) + "\n")


def _start(run: pathlib.Path, *, kill_after: int = 0) -> int:
    run.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, __file__, *sys.argv[1:], f"--run={run}"]
    return subprocess.run([*command, f"--kill_after={kill_after}"], cwd=ROOT).returncode


def _timed(run: pathlib.Path) -> dict:
    if _start(run):
        raise SystemExit("the evaluation failed")
    return json.loads((run / REPORT).read_text())


def _killed(run: pathlib.Path, examples: int) -> dict:
    """Kill an evaluation halfway, go on, and count what was decoded."""
    code = _start(run, kill_after=examples // 2)
    if code != -signal.SIGKILL:
        raise SystemExit(f"the evaluation was to be killed, but ended with {code}")
    (path,) = (run / "predictions").glob("*.jsonl")
    whole_lines = path.read_text().rsplit("\n", 1)[0].split("\n")[1:]
    finished = {json.loads(line)["id"] for line in whole_lines}
    first = (run / DECODED).read_text().split("\n")[:-1]
    (run / DECODED).unlink()
    if _start(run):
        raise SystemExit("the resumed evaluation failed")
    second = (run / DECODED).read_text().split("\n")[:-1]
    lines = collections.Counter(
        json.loads(line)["id"] for line in path.read_text().split("\n")[1:-1]
    )
    return {
        "decoded_before_kill": len(first),
        "finished_at_kill": len(finished),
        "decoded_after_resume": len(second),
        "finished_decoded_again": len(finished & set(second)),
        "examples_in_file": len(lines),
        "examples_twice_in_file": sum(count > 1 for count in lines.values()),
    }


class Clock:
    """Adds up seconds by name."""

    def __init__(self):
        self.seconds = collections.Counter()

    def timed(self, name, function):
        """The function, its time counted; `name` may depend on the arguments."""

        def call(*args, **kwargs):
            import jax

            label = name(*args, **kwargs) if callable(name) else name
            begun = time.monotonic()
            result = jax.block_until_ready(function(*args, **kwargs))
            self.seconds[label] += time.monotonic() - begun
            return result

        return call


def _evaluate(options) -> None:
    """One evaluation in this process; it may kill itself."""
    import jax

    from clinical_t5x.data.loader import open_examples
    from clinical_t5x.data.materialise import load_task
    from clinical_t5x.evaluation.evaluator import Evaluator, TaskSpec
    from clinical_t5x.evaluation.inference_evaluator import random_subset
    from clinical_t5x.evaluation.predictor import ModelPredictor
    from clinical_t5x.evaluation.results import Provenance

    model = _model(options)
    params = model.init_params(jax.random.key(0))
    clock = Clock()
    _time_programs(model, clock)
    task = TaskSpec.of(load_task(TASK, MODULE))
    open_examples(TASK, split=SPLIT, module=MODULE)  # written once, by whoever comes first
    begun = time.monotonic()
    examples = random_subset(open_examples(TASK, split=SPLIT, module=MODULE), options.examples, 0)
    clock.seconds["input"] += time.monotonic() - begun

    class Counted(ModelPredictor):
        """Notes what was decoded; ends the process as kill -9 does."""

        def generate(self, requests, **kwargs):
            with open(options.run / DECODED, "a", buffering=1) as file:
                for count, (position, found) in enumerate(super().generate(requests, **kwargs)):
                    if options.kill_after and count == options.kill_after:
                        os.kill(os.getpid(), signal.SIGKILL)
                    file.write(requests[position].id + "\n")
                    yield position, found

    predictor = Counted(model, params, batch_size=options.batch, num_decodes=options.beams)
    predictor._rows = clock.timed("padding", predictor._rows)
    identity = predictor.identity()  # reads every parameter, once an evaluation, whatever its size
    predictor.identity = lambda: identity
    evaluator = Evaluator(
        task, examples, split=SPLIT, output_dir=options.run, with_scores=options.with_scores
    )
    begun = time.monotonic()
    evaluation = evaluator.run(predictor, Provenance("base, random", "scratch"))
    clock.seconds["scoring"] = time.monotonic() - begun - _inside(clock.seconds)
    (options.run / REPORT).write_text(json.dumps(_report(clock.seconds, evaluation)))


def _inside(seconds) -> float:
    """What was timed within the evaluator; the split was opened before."""
    names = ("decoding", "scores by likelihood", "compiling", "padding")
    return sum(seconds[name] for name in names)


def _time_programs(model, clock: Clock) -> None:
    seen = set()

    def label(name):
        def of_call(params, batch, *args, **kwargs):
            shapes = (name, *(rows.shape for rows in batch.values()))
            known = shapes in seen
            seen.add(shapes)
            return name if known else "compiling"

        return of_call

    decode, score = model.predict_batch_with_aux, model.score_candidates
    model.predict_batch_with_aux = clock.timed(label("decoding"), decode)
    model.score_candidates = clock.timed(label("scores by likelihood"), score)


def _report(seconds, evaluation) -> dict:
    seconds = dict(seconds)
    seconds["input"] += seconds.pop("padding")
    spent = {name: value for name, value in seconds.items() if name != "compiling"}
    total = sum(spent.values())
    return {
        "examples": evaluation.results[0].n,
        "seconds": seconds,
        "share_of_time": {name: value / total for name, value in spent.items()},
        "input_and_scoring": (spent["input"] + spent["scoring"]) / total,
        "predicted_tokens": evaluation.counts["predicted_tokens"],
        "max_target_tokens": evaluation.counts["max_target_tokens"],
    }


def _model(options):
    """The model of a gin file, float32, with no checkpoint."""
    import gin

    gin.add_config_file_search_path(str(ROOT))
    gin.parse_config_files_and_bindings(
        [f"gin/models/{options.model}.gin"],
        [
            "from __gin__ import dynamic_registration",
            "from t5x.examples.t5 import network",
            "DROPOUT_RATE = 0.0",
            "network.T5Config.dtype = 'float32'",
        ],
    )
    return gin.query_parameter("%MODEL").scoped_configurable_fn()


def _show(report: dict, options) -> None:
    print(
        f"{report['examples']} CLIP sentences, {options.model}, {options.beams} beams, batches of"
        f" {options.batch}, at most {report['max_target_tokens']} tokens each"
    )
    for name, share in sorted(report["share_of_time"].items(), key=lambda item: -item[1]):
        print(f"  {name:<22}{report['seconds'][name]:10.2f} s {100 * share:7.2f} %")
    print(
        f"  {'compiling':<22}{report['seconds'].get('compiling', 0):10.2f} s   (not in the shares)"
    )
    met = "below 5 %" if report["input_and_scoring"] < 0.05 else "NOT below 5 %"
    print(f"input and scoring: {100 * report['input_and_scoring']:.2f} % ({met})")
    print(
        f"killed after {report['decoded_before_kill']} were decoded and"
        f" {report['finished_at_kill']} finished; resumed: {report['decoded_after_resume']} decoded,"
        f" {report['finished_decoded_again']} of the finished again;"
        f" {report['examples_in_file']} examples in the file,"
        f" {report['examples_twice_in_file']} twice"
    )


if __name__ == "__main__":
    main()
