"""Models on this machine: T5 by our own decoding, causal models by Hugging Face."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from clinical_t5x.baselines.prompting.answering import Query, ask_once  # noqa: E402
from clinical_t5x.baselines.prompting.causal_model import CausalModel  # noqa: E402
from clinical_t5x.baselines.prompting.own_t5 import OwnT5  # noqa: E402
from clinical_t5x.baselines.prompting.prompts import prompts_named  # noqa: E402
from clinical_t5x.baselines.prompting.rendering import Rendered  # noqa: E402
from clinical_t5x.baselines.prompting.replies import ReplyStore  # noqa: E402
from clinical_t5x.baselines.tiny import make_tiny  # noqa: E402
from clinical_t5x.console import UserError  # noqa: E402
from tests.baselines.prompting import material  # noqa: E402
from tests.baselines.prompting.test_run import finished, made  # noqa: E402

ROOT = Path(__file__).parents[3]
TEXTS = [
    f"{record['premise']} {record['hypothesis']}" for record in material.mednli(3).train.records
] + ["Answer entailment, neutral or contradiction. Premise: Hypothesis: Answer: yes no maybe"] * 3


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """Tiny models whose random weights are large enough to write different things."""
    torch.set_num_threads(1)
    os.environ["HF_HUB_OFFLINE"] = "1"
    root = tmp_path_factory.mktemp("models")

    def directory(name):
        if not (root / name).exists():
            make_tiny(name, root / name, seed=0, texts=TEXTS)
            kind = transformers.AutoModelForCausalLM
            if name.endswith("t5_xxl"):
                kind = transformers.AutoModelForSeq2SeqLM
            model = kind.from_pretrained(root / name)
            with torch.no_grad():
                for parameter in model.parameters():
                    if parameter.ndim > 1:
                        parameter.normal_(0.0, 0.3)
            model.save_pretrained(root / name)
        return root / name

    return directory


def queries_of(count, *, max_tokens=12, stop=()):
    shown = (("Premise: one\nAnswer:", "neutral"),)
    return [
        Query(
            Rendered("Answer with a label.", shown[: k % 2], f"Premise: {'word ' * k}{k}\nAnswer:"),
            tokens=0,
            max_tokens=max_tokens,
            stop=stop,
        )
        for k in range(count)
    ]


def replies_to(asked, queries, directory):
    with ReplyStore(directory) as store:
        found = dict(ask_once(asked, queries, store))
    return [found[k] for k in range(len(queries))]


def test_t5_writes_what_hugging_face_writes(models, tmp_path):
    """The same weights and tokenizer through transformers: an independent way."""
    directory = models("flan_t5_xxl")
    queries = queries_of(5, max_tokens=16)
    asked = OwnT5(directory, batch_size=4)
    ours = replies_to(asked, queries, tmp_path)
    tokenizer = transformers.AutoTokenizer.from_pretrained(directory)
    model = transformers.AutoModelForSeq2SeqLM.from_pretrained(directory).eval()
    for query, reply in zip(queries, ours, strict=True):
        inputs = tokenizer(query.rendered.text, return_tensors="pt")
        out = model.generate(**inputs, max_new_tokens=16, do_sample=False, num_beams=1)
        assert inputs["input_ids"][0].tolist() == asked._request(0, query).tokens.tolist()
        assert reply.text == asked._vocabulary.decode(out[0, 1:].tolist())
    assert len({reply.text for reply in ours}) > 1


@pytest.mark.parametrize("name", ["gpt2", "qwen3_8b"])
def test_batches_and_left_padding_change_nothing(models, tmp_path, name):
    directory = models(name)
    queries = queries_of(5)
    together = CausalModel(directory, batch_size=5, chat=False)
    replies = replies_to(together, queries, tmp_path / "together")
    tokenizer, model = together._tokenizer, together._model
    for query, reply in zip(queries, replies, strict=True):
        tokens = tokenizer(query.rendered.text, return_tensors="pt")
        out = model.generate(
            input_ids=tokens["input_ids"], max_new_tokens=12, do_sample=False,
            pad_token_id=tokenizer.pad_token_id,
        )  # fmt: skip
        written = out[0, tokens["input_ids"].shape[1] :]
        assert reply.text == tokenizer.decode(written, skip_special_tokens=True)
        assert reply.completion_tokens <= 12
    assert len({reply.text for reply in replies}) > 1


def test_stop_texts_end_a_reply(models, tmp_path):
    directory = models("gpt2")
    asked = CausalModel(directory, batch_size=3)
    (free,) = replies_to(asked, queries_of(1), tmp_path / "free")
    stop = free.text[len(free.text) // 2 :][:2]
    (stopped,) = replies_to(asked, queries_of(1, stop=(stop,)), tmp_path / "stopped")
    assert stop and stopped.text == free.text[: free.text.index(stop)]
    assert not stopped.at_limit


def test_a_chat_template_is_used_where_there_is_one(models, tmp_path):
    directory = models("qwen3_8b")
    tokenizer = transformers.AutoTokenizer.from_pretrained(directory)
    tokenizer.chat_template = (
        "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
        "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
    )
    with_template = tmp_path / "chat"
    transformers.AutoModelForCausalLM.from_pretrained(directory).save_pretrained(with_template)
    tokenizer.save_pretrained(with_template)
    asked = CausalModel(with_template)
    rendered = queries_of(2)[1].rendered
    text = tokenizer.decode(asked._tokens(rendered))
    assert text.count("<|im_start|>user") == 2
    assert text.rstrip().endswith("<|im_start|>assistant")
    assert asked.identity() != CausalModel(with_template, chat=False).identity()
    with pytest.raises(UserError, match="no chat template"):
        CausalModel(models("gpt2"), chat=True)


@pytest.mark.parametrize("name", ["flan_t5_xxl", "gpt2"])
def test_from_examples_to_results(models, tmp_path, name):
    benchmark = material.mednli(3)
    kind = OwnT5 if name == "flan_t5_xxl" else CausalModel
    asked = kind(models(name), batch_size=8)
    prompts = prompts_named("mednli", ["labels_v1", "paper_v1"])
    run = made(benchmark, asked, tmp_path, prompts=prompts, shots=(1,), initialisation=name)
    chosen, evaluation = finished(run)
    assert chosen.name.endswith("shot")
    assert evaluation.results[0].model == name
    assert evaluation.counts["requests"] == 9
    assert evaluation.counts["prompt_tokens"] > 9 * 10


def test_wrong_directories_are_said(tmp_path):
    with pytest.raises(UserError, match="no such directory"):
        OwnT5(tmp_path / "nothing")
    with pytest.raises(UserError, match="no causal model"):
        CausalModel(tmp_path)


SHARDED = """
import sys, tempfile
from clinical_t5x.baselines.prompting.own_t5 import OwnT5
from tests.baselines.prompting.test_local_models import queries_of, replies_to
asked = OwnT5(sys.argv[1], batch_size=4, num_partitions=int(sys.argv[2]))
print([reply.text for reply in replies_to(asked, queries_of(5), tempfile.mkdtemp())])
"""


@pytest.mark.slow
def test_t5_over_several_devices_writes_the_same(models):
    """Four devices that the CPU pretends to have, two of them for each copy of the model."""

    def written(devices, partitions):
        flags = f"--xla_force_host_platform_device_count={devices}"
        given = [sys.executable, "-c", SHARDED, str(models("flan_t5_xxl")), str(partitions)]
        done = subprocess.run(
            given,
            env={**os.environ, "XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu"},
            cwd=ROOT,
            stdout=subprocess.PIPE,
            check=True,
        )
        return done.stdout

    assert written(4, 2) == written(1, 1) != b""
