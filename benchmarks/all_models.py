"""Every model of the registry, tiny, through the whole program: trained or prompted, scored, in one report.

    python benchmarks/all_models.py --work DIR
    python benchmarks/all_models.py --work DIR --tasks mednli --only gatortron t5_xl gpt3

Makes a synthetic PhysioNet and a data home (unless --data_dir names one), writes each row's tiny
random model in that model's real format, and runs the row as its command in `clinical-t5x models`
does: `finetune` for encoders and decoders, the grid around `t5x.train` and `t5x.eval` for T5,
`prompt` for those that are used in context; a model that only a server has is played by a server of
its own on loopback. Then one report. Every step is a command, printed as it is typed; what is done
is not done again. The exit code is 1 where a row is missing from the results.

Models are random and runs a few updates long: the scores say nothing.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import pathlib
import shlex
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from clinical_t5x.evaluation.registry import MODELS  # noqa: E402
from clinical_t5x.evaluation.registry.row import ENDPOINT, IN_CONTEXT, TODAY  # noqa: E402

TASKS = ("mednli", "radqa", "clip")
FEW_EXAMPLES = 8  # of validation, to choose a prompt with


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--work", required=True, type=pathlib.Path, help="where everything goes")
    parser.add_argument("--data_dir", type=pathlib.Path, help="a synthetic data home")
    parser.add_argument("--patients", type=int, default=40, help="of a new one (%(default)s)")
    parser.add_argument("--tasks", nargs="+", choices=TASKS, default=list(TASKS))
    parser.add_argument(
        "--only", nargs="+", choices=MODELS, metavar="ROW", help="rows of these keys"
    )
    parser.add_argument("--today", action="store_true", help="today's models too, not only the 16")
    parser.add_argument("--serve", type=pathlib.Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        serve(options.serve)
        return
    chosen = [
        row
        for row in MODELS.values()
        if row.key in (options.only or MODELS)
        and (options.only or options.today or row.group != TODAY)
    ]
    begun = time.monotonic()
    options.data_dir = options.data_dir or make_data(options)
    for row in chosen:
        make_model(options, row)
    run_rows(options, chosen)
    missing = report(options, chosen)
    minutes = (time.monotonic() - begun) / 60
    print(f"{len(chosen)} models, {len(options.tasks)} tasks, {minutes:.1f} minutes")
    if missing:
        print(f"MISSING: {', '.join(missing)}")
    sys.exit(1 if missing else 0)


def make_data(options) -> pathlib.Path:
    physionet, data = options.work / "physionet", options.work / "data"
    module("synthetic", "--out", physionet, "--patients", options.patients, "--seed", 1)
    module("prepare", "--physionet", physionet, "--data_dir", data)
    module("vocabulary", "--data_dir", data, "--size", 3000)
    return data


def model_of(options, row) -> pathlib.Path:
    return options.work / "models" / row.key


def make_model(options, row) -> None:
    if not model_of(options, row).exists():
        module(
            "finetune", "--make_tiny", row.key, "--out", model_of(options, row),
            "--data_dir", options.data_dir,
        )  # fmt: skip


def run_rows(options, chosen) -> None:
    ours = [row for row in chosen if row.preset == "t5"]
    if ours:
        grid(options, ours)
    for row in chosen:
        for task in options.tasks:
            if row.use == IN_CONTEXT:
                prompt(options, row, task)
            elif row.preset != "t5":
                finetune(options, row, task)


def grid(options, rows) -> None:
    """T5 rows: fine-tuned and scored by t5x.train and t5x.eval, as the grid calls them."""
    models = [f"--model={row.key}={model_of(options, row)}" for row in rows]
    module(
        "grid", "--out", options.work / "grid", "--data_dir", options.data_dir,
        "--preset", "laptop", "--tasks", ",".join(options.tasks), "--fractions", "1",
        "--seeds", "1", "--steps", "2", "--set", "evaluations=1", "--set",
        f"validation_examples={FEW_EXAMPLES}", *models,
    )  # fmt: skip


def finetune(options, row, task: str) -> None:
    """Encoders and decoders: with a head, by Hugging Face and PyTorch."""
    module(
        "finetune", "--model", model_of(options, row), "--task", task,
        "--data_dir", options.data_dir, "--preset", "laptop", "--epochs", "1",
        "--max_tokens", "64", "--registry_row", row.key, "--out",
        options.work / "runs" / f"{row.key}_{task}",
    )  # fmt: skip


def prompt(options, row, task: str) -> None:
    """Models that are asked, with demonstrations in the prompt."""
    out = options.work / "runs" / f"{row.key}_{task}"
    shared = (
        "--task", task, "--data_dir", options.data_dir, "--registry_row", row.key, "--out", out,
        "--shots", "0", "--validation_examples", FEW_EXAMPLES, "--max_new_tokens", 4,
    )  # fmt: skip
    if row.family == ENDPOINT:
        with server_of(options, model_of(options, row)) as url:
            module("prompt", "--endpoint", url, "--endpoint_model", row.key, *shared)
        return
    flag = "--model" if row.family == "t5" else "--causal_model"
    module("prompt", flag, model_of(options, row), *shared)


@contextlib.contextmanager
def server_of(options, model: pathlib.Path):
    """A server of a model on loopback, in a process of its own; yields its address."""
    command = [sys.executable, __file__, f"--work={options.work}", f"--serve={model}"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment())
    try:
        yield process.stdout.readline().strip()
    finally:
        process.terminate()
        process.wait()


def serve(directory: pathlib.Path) -> None:
    """Speak OpenAI's chat API for a causal model, until the process is ended."""
    import threading
    from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

    import torch
    import transformers

    torch.set_num_threads(1)
    tokenizer = transformers.AutoTokenizer.from_pretrained(directory)
    model = transformers.AutoModelForCausalLM.from_pretrained(directory)
    one_at_a_time = threading.Lock()

    def answer(asked: dict) -> dict:
        prompt = "\n".join(message["content"] for message in asked["messages"])
        limit = asked.get("max_tokens") or asked.get("max_completion_tokens") or 8
        inputs = tokenizer(prompt, return_tensors="pt", truncation=True, max_length=512)
        with one_at_a_time, torch.inference_mode():
            found = model.generate(
                **inputs, max_new_tokens=limit, do_sample=False, pad_token_id=tokenizer.eos_token_id
            )
        new = found[0, inputs["input_ids"].shape[1] :]
        text = tokenizer.decode(new, skip_special_tokens=True)
        usage = {"prompt_tokens": found.shape[1] - len(new), "completion_tokens": len(new)}
        return {
            "id": "local",
            "object": "chat.completion",
            "model": asked["model"],
            "choices": [
                {
                    "index": 0,
                    "message": {"role": "assistant", "content": text},
                    "finish_reason": "length" if len(new) == limit else "stop",
                }
            ],
            "usage": {**usage, "total_tokens": sum(usage.values())},
        }

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *arguments):
            pass

        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            data = json.dumps(answer(json.loads(body))).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    print(f"http://127.0.0.1:{server.server_port}/v1", flush=True)
    server.serve_forever()


def report(options, chosen) -> list[str]:
    """One report of everything; which model and task has no result in it."""
    runs = [path for path in (options.work / "grid", options.work / "runs") if path.exists()]
    shown = module(
        "report", "--runs", *runs, "--paper", "--out", options.work / "report.html", "--json",
        quiet=True,
    )  # fmt: skip
    found = {
        (row["system"], row["task"])
        for row in json.loads(shown.splitlines()[-1])["results"]
        if row["kind"] == "score" and row["origin"] == "measured"
    }
    print(f"report: {options.work / 'report.html'}")
    return [
        f"{row.key} on {task}"
        for row in chosen
        for task in options.tasks
        if (row.key, task) not in found
    ]


def module(name: str, *arguments, quiet: bool = False) -> str:
    """Run a command of the package; its output."""
    command = [sys.executable, "-m", f"clinical_t5x.{name}", *map(str, arguments)]
    print(f"$ python {shlex.join(command[1:])}", flush=True)
    done = subprocess.run(command, cwd=ROOT, env=environment(), stdout=subprocess.PIPE, text=True)
    if not quiet:
        print(
            "".join(f"    {line}\n" for line in done.stdout.splitlines()[-2:]), end="", flush=True
        )
    if done.returncode:
        raise SystemExit(f"clinical_t5x.{name} ended with {done.returncode}")
    return done.stdout


def environment() -> dict[str, str]:
    return {**os.environ, "HF_HUB_OFFLINE": "1"}


if __name__ == "__main__":
    main()
