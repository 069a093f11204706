"""The command as people type it: killed in the middle, refused, estimated, stopped by a server."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from clinical_t5x import prompt
from clinical_t5x.baselines.finetuning import reading
from clinical_t5x.baselines.prompting.replies import ReplyStore
from clinical_t5x.console import Stopped, UserError
from tests.baselines.prompting import material, servers

ROOT = Path(__file__).parents[3]
PROGRAM = Path(__file__).with_name("command.py")
PREMISES = 40


def arguments(url, out, *more):
    return [
        "--task", "mednli", "--out", str(out), "--endpoint", url, "--endpoint_model", "tiny",
        "--prompts", "labels_v1", "definitions_v1", "--shots", "1", "--validation_examples", "60",
        "--concurrency", "4", "--json", *more,
    ]  # fmt: skip


@pytest.fixture
def typed(monkeypatch, capsys):
    """The command in this process, on made-up examples: its lines and the last one's JSON."""

    def run(*given, synthetic=True, premises=PREMISES):
        benchmark = material.mednli(premises, synthetic=synthetic)
        monkeypatch.setattr(reading, "read_benchmark", lambda *a, **k: benchmark)
        assert prompt.main([str(one) for one in given]) == 0
        lines = capsys.readouterr().out.splitlines()
        with contextlib.suppress(ValueError):
            return lines, json.loads(lines[-1])
        return lines, None

    return run


def started(*given):
    return subprocess.Popen(
        [sys.executable, PROGRAM, str(PREMISES), "synthetic", *map(str, given)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), "JAX_PLATFORMS": "cpu"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def killed_when(process, server, billed):
    """Kill -9 as soon as so much was billed."""
    for _ in range(3000):
        if sum(server.billed.values()) >= billed or process.poll() is not None:
            break
        time.sleep(0.02)
    assert process.poll() is None, "the command ended before it could be killed"
    process.send_signal(signal.SIGKILL)
    process.wait()
    time.sleep(0.3)  # what the server still had in hand


@pytest.mark.parametrize("idempotent", [True, False])
def test_killed_in_the_middle(tmp_path, typed, idempotent):
    """All examples are answered exactly once, and nothing is billed twice.

    A server that knows idempotency keys bills nothing twice at all. Any other may have worked on
    what was under way at the kill, at most `--concurrency` requests: no client could know. These,
    and those whose replies were cut off, are said to be perhaps billed twice.
    """
    plan = {"faults": ["429-after", "truncated"], "every": 25, "delay": 0.02}
    out = tmp_path / "run"
    with servers.running(tmp_path / "state", idempotent=idempotent, **plan) as server:
        given = arguments(server.url, out)
        killed_when(started(*given), server, billed=50)
        before = sum(server.billed.values())
        assert 50 <= before < 240
        lines, summary = typed(*given)
        twice = [request for request, times in server.billed.items() if times > 1]
        asked, truncated = len(server.billed), server.failed["truncated"]
    assert any("exactly once" in line for line in lines)
    assert summary["counts"]["examples"] == 3 * PREMISES
    predictions = (out / "predictions" / "mednli_v1-test.jsonl").read_text().splitlines()[1:]
    ids = [json.loads(line)["id"] for line in predictions]
    assert len(ids) == len(set(ids)) == 3 * PREMISES
    # 60 validation examples, two prompts; then the whole test split with the chosen one
    assert asked == 2 * 60 + 3 * PREMISES
    perhaps = summary["counts"]["requests_perhaps_billed_twice"]
    assert truncated <= perhaps <= 4 + 2 * truncated  # and connections that these left closed
    assert len(twice) <= (0 if idempotent else min(4, perhaps))
    with ReplyStore(out) as store:
        assert len(store.all()) == asked


def test_ended_by_ctrl_c_nothing_is_lost(tmp_path):
    """SIGTERM: the command waits for what is under way, ends with 75, and loses no reply."""
    out = tmp_path / "run"
    with servers.running(tmp_path / "state", delay=0.05) as server:
        process = started(*arguments(server.url, out))
        while sum(server.billed.values()) < 20:
            time.sleep(0.02)
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 75
        billed = sum(server.billed.values())
        assert billed < 240
    with ReplyStore(out) as store:
        assert len(store.all()) == billed
        assert store.unfinished == 0


def test_another_machine_is_refused_before_anything_is_sent(tmp_path, typed):
    given = arguments("https://api.openai.com/v1", tmp_path / "run")
    with pytest.raises(UserError, match="PhysioNet"):
        typed(*given, synthetic=False)
    assert not (tmp_path / "run").exists()


def test_what_may_cost_money_needs_a_word(tmp_path, typed):
    with servers.running(tmp_path / "state") as server:
        given = arguments(server.url, tmp_path / "run", "--price_per_million", 1, 2)
        with pytest.raises(UserError, match="--yes"):
            typed(*given)
        with pytest.raises(UserError, match="more than --max_cost"):
            typed(*given, "--max_cost", 0.001)
        lines, _ = typed(*given, "--estimate_only")
        assert any("to pay" in line for line in lines)
        assert not server.seen
        with pytest.raises(Stopped, match="what was answered is kept"):
            typed(*given, "--max_cost", 0.002, "--yes")
        billed = len(server.billed)
        assert billed
        _, summary = typed(*given, "--max_cost", 1)
        assert set(server.billed.values()) == {1}
    counts = summary["counts"]
    price = counts["prompt_tokens"] + 2 * counts["completion_tokens"]
    assert counts["price_in_millionths"] == price
    assert counts["price_with_selection_in_millionths"] > price


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ((), "one of --model"),
        (("--model", "a", "--causal_model", "b"), "one of --model"),
        (("--endpoint", "http://127.0.0.1:1"), "belong together"),
        (("--model", "a", "--prompts", "labels"), "labels_v1"),
        (("--model", "a", "--shots", "-1"), "--shots"),
        (("--model", "a", "--max_cost", "1"), "--price_per_million"),
        (("--model", "a", "--out", "gs://bucket/run"), "local disk"),
        (("--endpoint", "http://u:p@host", "--endpoint_model", "m"), "environment"),
        (("--endpoint", "http://127.0.0.1:1", "--endpoint_model", "m"), "start the server"),
    ],
)
def test_mistakes_are_found_before_anything_is_read(given, message):
    with pytest.raises(UserError, match=message):
        prompt.main(["--task", "mednli", "--out", "runs/x", *given])


def test_keys_and_texts_are_not_shown(tmp_path, typed, monkeypatch):
    monkeypatch.setenv("MY_KEY", "sk-secret")
    with servers.running(tmp_path / "state", faults=["500", "malformed"], every=40) as server:
        lines, _ = typed(*arguments(server.url, tmp_path / "run", "--api_key_variable", "MY_KEY"))
        assert {line["headers"]["Authorization"] for line in server.seen} == {"Bearer sk-secret"}
    assert not any("sk-secret" in line or "Seen in" in line for line in lines)
    for path in (tmp_path / "run").rglob("*"):
        text = "" if path.is_dir() or path.suffix == ".npz" else path.read_text()
        assert "sk-secret" not in text
        if path.name != "replies.jsonl":
            assert "He was seen" not in text
