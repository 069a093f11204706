"""The error browser: what it shows, what it refuses, and that hostile text stays text."""

import html.parser
import json
import re
import shutil
import subprocess

import pytest

from clinical_t5x import browse
from clinical_t5x.console import UserError
from clinical_t5x.evaluation.browser.lines import find_predictions
from clinical_t5x.evaluation.browser.page import page
from clinical_t5x.evaluation.browser.spans import ASKED, BOTH, GOLD, PREDICTED, occurrences, pieces
from clinical_t5x.evaluation.browser.views import item_of
from clinical_t5x.evaluation.predictions import PredictionFile

HOSTILE = (
    "</script><script>document.title='broken'</script><img src=x onerror=alert(1)>"
    " \"quotes\" 'single' & <!-- \u2028 \u2029 🤒👩🏽‍⚕️ \ud83e مرحبا ‮right to left \x00 ${x} `y`"
)


def _line(name, *, text="", target="", given="", components=None, **more):
    return {
        "id": name,
        "score": -0.5,
        "tokens": 3,
        "at_limit": False,
        "components": components or {},
        "text": text,
        "target": target,
        "input": given,
        **more,
    }


def _radqa(name, golds, text, context, exact=0.0, f1=0.0):
    row = {"questions": 1.0, "exact": exact, "f1": f1}
    given = f"question: Where is it? context: {context}"
    return _line(name, text=text, target=golds, given=given, components={"radqa": row})


CONTEXT = "A mass in the left\nupper lobe. No effusion."


def _write(run, lines, *, family="radqa", synthetic=None, **header):
    of = {
        "task": f"{family}_v1",
        "task_version": f"{family}_v1@aaaa",
        "split": "validation",
        "families": [family],
        "with_text": True,
        "model": "t5-tiny",
        "initialisation": "scratch",
        "checkpoint_step": 20,
        **header,
    }
    name = f"{of['task']}-{of['split']}-step_{of['checkpoint_step']}"
    with PredictionFile(run / "predictions" / f"{name}.jsonl", of) as file:
        for line in lines:
            file.add(line)
    if synthetic is not None:
        results = run / "results" / name
        results.mkdir(parents=True)
        (results / "results.json").write_text(json.dumps({"results": [{"synthetic": synthetic}]}))
    return run / "predictions" / f"{name}.jsonl"


# Where answers stand.


def test_occurrences_prefer_whole_words_and_the_same_case():
    text = "Leftover; the left lung, LEFT lobe"
    assert [text[a:b] for a, b in occurrences(text, "left")] == ["left"]
    assert [text[a:b] for a, b in occurrences(text, "LUNG")] == ["lung"]
    assert [text[a:b] for a, b in occurrences(text, "over")] == ["over"]
    assert occurrences(text, "right") == occurrences(text, " ") == []


def test_occurrences_look_through_line_breaks_and_regex_signs():
    assert occurrences("in the left\n  upper lobe", "left upper lobe") == [(7, 24)]
    assert occurrences("size (3 x 4) cm+", "(3 x 4) cm+") == [(5, 16)]


def test_pieces_join_to_the_text_and_mark_overlaps():
    cut = pieces("abcdef", [(1, 4), (2, 3)], [(3, 6)])
    assert cut == [("a", 0), ("bc", GOLD), ("d", BOTH), ("ef", PREDICTED)]
    assert pieces("abc", [], []) == [("abc", 0)]
    assert pieces("", [], []) == []


# What is shown of a line.


def test_radqa_marks_gold_and_predicted_where_they_stand():
    line = _radqa("q0", ["left upper lobe"], "upper lobe", CONTEXT, f1=0.8)
    item = item_of(line, ["radqa"])
    assert item.tags == (("has an answer", "partly right"),)
    (_, question), (_, context) = item.passages
    assert question == [("Where is it?", 0)]
    assert [piece for piece in context if piece[1]] == [("left\n", GOLD), ("upper lobe", BOTH)]
    assert "".join(text for text, _ in context) == CONTEXT
    assert item.scores == {"log-likelihood of the answer": -0.5}


@pytest.mark.parametrize(
    ("golds", "text", "exact", "f1", "kind"),
    [
        (["left"], "left", 1.0, 1.0, "right"),
        ([], "", 1.0, 1.0, "right"),
        ([], "left", 0.0, 0.0, "answered though there is no answer"),
        (["left"], "", 0.0, 0.0, "no answer given though there is one"),
        (["left"], "effusion", 0.0, 0.0, "no word of the gold answer"),
    ],
)
def test_radqa_says_what_happened(golds, text, exact, f1, kind):
    item = item_of(_radqa("q0", golds, text, CONTEXT, exact, f1), ["radqa"])
    assert (item.tags[0][1], item.right) == (kind, kind == "right")


def test_radqa_says_when_an_answer_does_not_stand_in_the_text():
    item = item_of(_radqa("q0", ["right lung"], "both lungs", CONTEXT), ["radqa"])
    assert len(item.remarks) == 2


def test_mednli_says_which_label_was_taken_for_which():
    given = "mednli premise: He is ill. hypothesis: He is well."
    line = _line("p", text="entailment", target="contradiction", given=given)
    item = item_of(line, ["mednli"])
    assert not item.right
    assert ("contradiction", "missed") in item.tags
    assert ("entailment", "false") in item.tags
    assert ("contradiction", "contradiction taken for entailment") in item.tags
    assert item.passages[1] == ("Hypothesis", [("He is well.", 0)])
    odd = item_of(_line("p", text="perhaps", target="neutral", given=given), ["mednli"])
    assert (odd.predicted, odd.right) == ("perhaps", False)
    assert ("unrecognised", "false") in odd.tags


LAB, VISIT = "Lab-related followup", "Appointment-related followup"


@pytest.mark.parametrize(
    "given",
    [
        "Rest ; eat . Check INR ; daily . Come back . ; Check INR ; daily .",
        "clip sentence: Check INR ; daily . before: Rest ; eat . after: Come back .",
        "Before: Rest ; eat . Sentence: Check INR ; daily . After: Come back . Question: Is it?"
        " Answer yes or no.",
    ],
)
def test_clip_shows_labels_missed_and_false_and_the_sentence_in_its_window(given):
    line = _line("9/1", text=VISIT, target=LAB, given=given, scores={"best": 0.25})
    item = item_of(line, ["clip"])
    assert item.marks == ((VISIT, "false"), (LAB, "missed"))
    context = dict(item.passages)["In its context"]
    assert ("Check INR ; daily .", ASKED) in context
    assert context[0][0].startswith("Rest ; eat .")
    assert item.scores["best"] == 0.25


def test_clip_yes_and_no_are_read_as_labels():
    line = _line("9/1/3", text="yes", prediction=LAB, target=LAB, given="?")
    assert item_of(line, ["clip"]).right
    nothing = item_of(_line("9/2", text="", target="", given="?"), ["clip"])
    assert (nothing.right, nothing.tags) == (True, (("no label", "right"),))
    strange = item_of(_line("9/3", text="gibberish", target="", given="?"), ["clip"])
    assert (strange.right, strange.tags) == (False, (("no label", "unknown label name"),))


def test_a_task_of_another_kind_is_shown_plainly():
    item = item_of(_line("x", text="yes ", target="yes", given="well?", at_limit=True), ["smoking"])
    assert item.right
    assert item.passages == (("Input", [("well?", 0)]),)
    assert item.remarks == ("The answer was cut off at the length limit.",)
    assert item_of(_line("x", score=float("nan")), []).scores == {}


# The page.


class _Scripts(html.parser.HTMLParser):
    """What a browser takes for elements of the page."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.scripts, self.outside = [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag == "script":
            self.scripts.append("")

    def handle_data(self, data):
        if self.tags and self.tags[-1][0] == "script":
            self.scripts[-1] += data


@pytest.fixture
def hostile(tmp_path):
    lines = [
        _radqa(f"q{k} {HOSTILE}", [HOSTILE], f"{HOSTILE} x", f"{HOSTILE} and {k}") for k in range(3)
    ]
    _write(tmp_path, lines, model=HOSTILE, synthetic=False)
    return page(find_predictions(tmp_path)[0])


def test_hostile_text_stays_text(hostile):
    found = _Scripts(hostile)
    assert len(found.scripts) == 2
    assert not [tag for tag, _ in found.tags if tag == "img"]
    data = json.loads(found.scripts[0])
    assert data[2]["id"] == f"q2 {HOSTILE}"
    assert "".join(text for text, _ in data[2]["passages"][1][1]) == f"{HOSTILE} and 2"
    assert found.scripts[0].isascii()
    hostile.encode("utf-8")


def test_nothing_is_loaded_or_run_but_our_script(hostile):
    found = _Scripts(hostile)
    assert not [a for _, attrs in found.tags for a in attrs if a in ("src", "href", "onerror")]
    policy = next(a["content"] for _, a in found.tags if a.get("http-equiv"))
    assert policy.startswith("default-src 'none'")
    assert "script-src 'sha256-" in policy
    assert "http" not in found.scripts[1]
    assert not re.search(
        r"innerHTML|insertAdjacent|document\.write|eval|fetch|import", found.scripts[1]
    )


@pytest.mark.parametrize(
    ("synthetic", "said"),
    [(True, "Synthetic data."), (False, "holds text of clinical notes"), (None, "No results")],
)
def test_the_page_says_what_it_holds(tmp_path, synthetic, said):
    _write(tmp_path, [_radqa("q0", [], "left", CONTEXT)], synthetic=synthetic)
    (predictions,) = find_predictions(tmp_path)
    text = page(predictions)
    assert said in text
    assert "1 of 1 answers are wrong" in text
    assert ("clinical notes" in text.split("<form")[0]) is True


# The command.


def test_one_page_for_each_prediction_file(tmp_path, capsys):
    first = _write(tmp_path / "a", [_radqa("q0", [], "", CONTEXT, 1.0, 1.0)])
    _write(tmp_path / "b", [_line("p", text="neutral", target="neutral")], family="mednli")
    assert browse.main(["--run", str(tmp_path), "--json"]) == 0
    pages = json.loads(capsys.readouterr().out.splitlines()[-1])["pages"]
    assert [entry["examples"] for entry in pages] == [1, 1]
    assert first.with_suffix(".html").exists()
    with pytest.raises(UserError, match=r"several predictions .*choose with --task"):
        browse.main(["--run", str(tmp_path), "--out", str(tmp_path / "x.html")])
    out = tmp_path / "x.html"
    browse.main(["--run", str(tmp_path), "--task", "mednli_v1", "--out", str(out)])
    assert "mednli_v1" in out.read_text()


def test_predictions_without_text_are_refused_with_the_flag_that_helps(tmp_path):
    line = _radqa("q0", [], "", CONTEXT)
    bare = {k: v for k, v in line.items() if k not in ("text", "target", "input")}
    _write(tmp_path, [bare], with_text=False)
    with pytest.raises(UserError, match=r"--with_text.*note text"):
        browse.main(["--run", str(tmp_path)])
    assert not list(tmp_path.rglob("*.html"))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--task", "clip_v1"], "no predictions of task clip_v1; it holds radqa_v1-validation"),
        (["--step", "7"], "checkpoint_step 7"),
        (["--out", "page.pdf"], "one HTML file"),
    ],
)
def test_wrong_choices_are_named(tmp_path, arguments, message):
    _write(tmp_path, [_radqa("q0", [], "", CONTEXT)])
    with pytest.raises(UserError, match=message):
        browse.main(["--run", str(tmp_path), *arguments])


def test_runs_without_predictions_are_named(tmp_path):
    with pytest.raises(UserError, match="evaluate with --with_text"):
        find_predictions(tmp_path)
    with pytest.raises(UserError, match="does not exist"):
        find_predictions(tmp_path / "nowhere")
    path = _write(tmp_path, [])
    with pytest.raises(UserError, match="no prediction yet"):
        find_predictions(tmp_path)
    path.write_text("")
    with pytest.raises(UserError, match="is empty"):
        find_predictions(tmp_path)


def test_a_line_that_lost_its_text_is_named_by_id_alone(tmp_path):
    line = _radqa("q0", ["secret"], "secret", "secret place")
    del line["input"]
    _write(tmp_path, [line])
    with pytest.raises(UserError, match="'q0' has no input") as error:
        find_predictions(tmp_path)
    assert "secret" not in str(error.value)


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("chromium"), reason="there is no chromium")
def test_a_browser_draws_hostile_text_as_text(hostile, tmp_path):
    path = tmp_path / "page.html"
    path.write_text(hostile)
    command = [
        "chromium",
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--dump-dom",
        path.as_uri(),
    ]
    drawn = subprocess.run(command, capture_output=True, text=True, timeout=120).stdout
    found = _Scripts(drawn)
    assert len(found.scripts) == 2
    assert sum("card" in (attrs.get("class") or "").split() for _, attrs in found.tags) == 3
    assert "&lt;/script&gt;&lt;script&gt;" in drawn
    assert "broken" not in drawn.split("</title>")[0]
