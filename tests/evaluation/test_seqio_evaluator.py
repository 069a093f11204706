"""SeqIO's own Evaluator with our tasks' metric functions says the same numbers as ours.

So a run under Google's T5X, which evaluates with `seqio.Evaluator`, reports what this project does.
"""

import pytest
import seqio
from etils import epath

from clinical_t5x.data.loader import open_examples
from clinical_t5x.data.materialise import load_task
from clinical_t5x.data.vocabulary import ClinicalVocabulary
from clinical_t5x.evaluation.evaluator import Evaluator, TaskSpec
from clinical_t5x.evaluation.predictor import Generation
from clinical_t5x.evaluation.results import Provenance
from tests.data import tiny

SPLIT = "train"
# Wrong answers among right ones, one for each example in turn.
ANSWERS = {
    "mednli_v1": ["entailment", "neutral", "", "contradiction", "maybe"],
    "radqa_v1": ["", "No effusion", "effusion", "nodule"],
    "clip_v1": ["", "Imaging-related followup", "Appointment-related followup, Surgery"],
}


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    return tiny.make_home(epath.Path(tmp_path_factory.mktemp("tiny")))


class Listed:
    """Answers in the order of the split."""

    def __init__(self, texts):
        self.texts = texts

    def identity(self):
        return "listed"

    def generate(self, requests, *, max_target_tokens):
        for position in range(len(requests)):
            yield position, Generation(self.texts[position])


@pytest.mark.parametrize("name", ANSWERS)
def test_seqio_and_ours_agree(name, home, monkeypatch):
    monkeypatch.setenv("CLINICAL_T5X_DATA", str(home))
    module = f"tasks.{name.removesuffix('_v1')}"
    task = load_task(name, module)
    examples = open_examples(name, split=SPLIT, module=module)
    count = len(examples.inputs)
    # Both get what the vocabulary makes of the texts.
    vocabulary = ClinicalVocabulary()
    ids = [vocabulary.encode(ANSWERS[name][k % len(ANSWERS[name])]) for k in range(count)]
    ours = Evaluator(TaskSpec.of(task), examples, split=SPLIT, resamples=20).run(
        Listed([vocabulary.decode(row) for row in ids]), Provenance("listed", "listed")
    )
    longest = max(map(len, ids))
    padded = [[*row, 1, *[0] * (longest - len(row))] for row in ids]
    theirs = seqio.Evaluator(
        mixture_or_task_name=name,
        feature_converter=seqio.EncDecFeatureConverter(pack=False),
        eval_split=SPLIT,
    )
    result = theirs.evaluate(
        compute_metrics=True,
        step=0,
        predict_fn=lambda dataset: list(enumerate(padded)),
        score_fn=lambda dataset: [(k, 0.0) for k in range(count)],
    )
    values = result.metrics.result()[0] if hasattr(result, "metrics") else result[0].result()
    found = values[name]
    assert len(found) >= 6
    for metric, value in found.items():
        value = getattr(value, "value", value)
        assert ours.result(metric).value == pytest.approx(float(value), abs=1e-12), metric
