"""The data report from hand-made manifests: its numbers, its HTML, and what is absent or odd."""

import copy
import html.parser
import json
import re

import pytest

from clinical_t5x.corpus.report import write_page
from clinical_t5x.corpus.report.facts import folded, lengths_of, middle_bin, readable
from clinical_t5x.corpus.report.page import page

_NOTES = "mimiciii/1.4/NOTEEVENTS.csv.gz"
_MIMIC = {
    "name": "clinical",
    "created_by": "clinical_t5x 9.8.7",
    "inputs": [
        {"path": _NOTES, "sha256": "ab" * 32, "bytes": 12_345, "rows": 1_010},
        {"path": "mednli/1.0.0/mli_test_v1.jsonl", "sha256": "cd" * 32, "bytes": 678},
    ],
    "options": {"name": "clinical", "validation_percent": 5.0, "deid": "tags", "strict": True},
    "counts": {
        "rows": {_NOTES: {"in": 1_010, "marked as error": 10, "usable": 1_000}},
        "repaired_bytes": {_NOTES: 77},
        "deid": {
            "[Name]": {"first name": 4_321, "last name": 1_234},
            "(text)": {"date kept as text": 55},
            "": {"empty tag": 2},
        },
        "combination": {"MIMIC-IV": 700, "MIMIC-III, left to MIMIC-IV": 29},
        "identity": {
            "patients linked between MIMIC-III and MIMIC-IV": 2_252,
            "n-grams needed for a link": 3,
            "n-grams words": 8,
        },
        "benchmarks": {
            "radqa": {
                "present": True, "notes named": 1_009, "persons": 203, "notes removed here": 41,
            },
            "mednli": {
                "present": True, "premises that name persons": 4_460, "premises too vague": 80,
                "notes removed here": 18,
            },
            "clip": {"present": False},
        },
    },
    "stages": [
        {"name": "read", "notes": 1_010, "words": 90_000, "dropped": {}},
        {
            "name": "usable rows",
            "notes": 1_000,
            "words": 90_000,
            "dropped": {"marked as error": {"notes": 10, "words": 0}},
        },
        {"name": "asked for", "notes": 1_000, "words": 90_000, "dropped": {}},
        {
            "name": "benchmark persons",
            "notes": 941,
            "words": 84_444,
            "dropped": {
                "person of radqa": {"notes": 41, "words": 4_111},
                "person of mednli": {"notes": 18, "words": 1_445},
            },
        },
    ],
    "lengths": {
        "edges": [1, 10, 100, 1_000],
        "documents": {"mimic-iii": [1, 600, 40], "mimic-iv": [0, 100, 200]},
    },
    "near_duplicates": {
        "threshold": 0.8, "shingle_words": 5, "permutations": 128, "pairs compared exactly": 12,
        "notes": 5_678, "same patient": 5_000, "other patient": 678,
    },
    "splits": {
        "train": {"documents": 900, "patients": 80, "persons": 77, "words": 80_000},
        "validation": {"documents": 41, "patients": 5, "persons": 4, "words": 4_444},
    },
    "categories": {
        "Radiology": {"documents": 700, "words": 50_000},
        "ECG": {"documents": 241, "words": 34_444},
    },
    "patients_known": True,
    "synthetic": True,
    "content_sha256": "ef" * 32,
}  # fmt: skip


def _grams(shared):
    return {
        "grams": 5_120, "in_raw": 5_011, "in_corpus": 13 + shared, "boilerplate": 13,
        "shared_beyond": shared, "texts_touched": min(shared, 3),
    }  # fmt: skip


def _leakage(shared_of_test):
    return {
        "gram_words": [8, 13],
        "boilerplate_patients": 20,
        "limit": {"gram_words": 13, "split": "test", "grams": 0},
        "within_limit": shared_of_test == 0,
        "benchmarks": {
            "mednli": {
                "train": {"texts": 11_232, "8": _grams(999), "13": _grams(87)},
                "test": {"texts": 1_422, "8": _grams(654), "13": _grams(shared_of_test)},
            }
        },
    }


@pytest.fixture
def manifest():
    return copy.deepcopy(_MIMIC)


@pytest.fixture
def hospital():
    """Notes in one file without patients, categories, marks or benchmarks."""
    return {
        "name": "hospital",
        "created_by": "clinical_t5x 9.8.7",
        "inputs": [{"path": "notes.jsonl", "sha256": "ab" * 32, "bytes": 9, "rows": 30}],
        "options": {"name": "hospital", "validation_percent": 0.0, "deid": "tags"},
        "counts": {
            "rows": {"notes.jsonl": {"in": 30, "usable": 30}},
            "deid": {},
            "benchmarks": {"radqa": {"present": False}, "clip": {"present": False}},
        },
        "stages": [
            {"name": name, "notes": 30, "words": 300, "dropped": {}}
            for name in ("read", "usable rows", "combination")
        ],
        "lengths": {"edges": [0, 10, 100], "documents": {"notes": [0, 30]}},
        "splits": {
            "train": {"documents": 30, "patients": 30, "persons": 30, "words": 300},
            "validation": {"documents": 0, "patients": 0, "persons": 0, "words": 0},
        },
        "categories": {"": {"documents": 30, "words": 300}},
        "patients_known": False,
        "synthetic": False,
        "content_sha256": "ef" * 32,
    }


class _Page(html.parser.HTMLParser):
    """Checks nesting, and collects text outside charts and style, ids and references."""

    _VOID = frozenset({"meta", "br", "path", "use", "rect", "circle", "line"})

    def __init__(self):
        super().__init__()
        self.open, self.parts, self.ids, self.references, self.labels = [], [], [], [], []
        self.titles, self.tags = [], []

    def handle_starttag(self, tag, attributes):
        values = dict(attributes)
        self.tags.append(tag)
        self.ids += [values["id"]] if "id" in values else []
        self.titles += [values["title"]] if "title" in values else []
        self.references += re.findall(r"url\(#([^)]+)\)", " ".join(map(str, values.values())))
        self.references += [v.lstrip("#") for k, v in attributes if k in ("href", "xlink:href")]
        self.references += [values["aria-labelledby"]] if "aria-labelledby" in values else []
        assert "src" not in values
        if values.get("role") == "img":
            self.labels.append(values["aria-label"])
        if tag not in self._VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.handle_starttag(tag, attributes)
        if tag not in self._VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        if tag not in self._VOID:
            assert self.open.pop() == tag

    def handle_data(self, text):
        if not {"svg", "style"} & set(self.open):
            self.parts.append(text)

    @property
    def text(self):
        return re.sub(r"\s+", " ", " ".join(self.parts))


def _parsed(text):
    """The page, checked to be well-formed and self-contained."""
    parser = _Page()
    parser.feed(text)
    parser.close()
    assert parser.open == []
    assert len(parser.ids) == len(set(parser.ids))
    assert set(parser.references) <= set(parser.ids)
    assert not {"script", "link", "img", "iframe"} & set(parser.tags)
    assert not re.search(r"@import|url\((?!#)", text)
    assert all(parser.labels)
    return parser


def _numbers(value):
    """All counts in nested dictionaries and lists."""
    if isinstance(value, dict):
        return [n for inner in value.values() for n in _numbers(inner)]
    if isinstance(value, list):
        return [n for inner in value for n in _numbers(inner)]
    return [value] if isinstance(value, int) and not isinstance(value, bool) else []


def test_page_holds_every_number_of_both_files(manifest):
    leakage = _leakage(0)
    parsed = _parsed(page(manifest, leakage))
    shown = set(re.findall(r"[\d,]*\d", parsed.text))
    for number in _numbers([manifest, leakage["benchmarks"]]):
        assert f"{number:,}" in shown, number
    assert len(parsed.labels) == 4  # stages, categories, lengths, marks
    assert "90,000 words" in parsed.labels[0]
    for title in ("ab" * 32, "cd" * 32):
        assert title in parsed.titles
    for fact in ("ab" * 6, "ef" * 32, "clinical_t5x 9.8.7", "first name", "RadQA", "empty marks"):
        assert fact in parsed.text
    assert "Not among the files: CLIP." in parsed.text
    assert "had nothing to do: asked for." in parsed.text
    command = "--physionet DIR --name clinical --validation_percent 5.0 --deid tags --strict"
    assert command in parsed.text


def test_summary_says_what_it_is_and_what_left(manifest):
    text = _parsed(page(manifest, _leakage(0))).text
    assert "941 documents with 84,444 words about 81 persons." in text
    assert "Made from 1,010 rows of 1 file." in text
    assert "rows that cannot be a note (10), notes of the benchmarks' persons (59)." in text


def test_tokens_stand_where_they_were_counted(manifest):
    assert "tokens" not in page(manifest, _leakage(0))
    manifest["tokens"] = {"vocabulary": "clinical", "vocabulary_sha256": "01" * 32}
    for split, tokens in (("train", 123_456), ("validation", 7_890)):
        manifest["splits"][split]["tokens"] = tokens
    for category, tokens in (("Radiology", 75_000), ("ECG", 56_346)):
        manifest["categories"][category]["tokens"] = tokens
    text = page(manifest, _leakage(0))
    for shown in ("131,346 tokens of the vocabulary clinical", "123,456", "7,890", "75,000"):
        assert shown in text
    assert re.search(r"75,000</td>\s*<td[^>]*>1\.50</td>", text)


def test_several_reasons_of_a_stage_are_told_apart(manifest):
    text = _parsed(page(manifest, _leakage(0))).text
    assert "person of radqa: 41 notes, 4,111 words" in text
    assert "marked as error: 10" not in text  # the only reason needs no count of its own


@pytest.mark.parametrize("synthetic", [True, False])
def test_synthetic_notes_have_a_banner(manifest, synthetic):
    manifest["synthetic"] = synthetic
    body = page(manifest, _leakage(0)).partition("<body>")[2]
    assert ("Synthetic data." in body) == synthetic
    assert ("synthetic" in body.lower()) == synthetic


def test_limit_that_does_not_hold_is_said_aloud(manifest):
    held = page(manifest, _leakage(0))
    broken = page(manifest, _leakage(3))
    sentence = "The limit holds: beyond boiler-plate, no 13-gram of any benchmark's test split"
    assert _parsed(held).text.count(sentence) == 2  # in the summary and beside the tables
    text = _parsed(broken).text
    assert "The limit holds" not in text
    assert text.count("The limit does not hold") == 2
    assert "(MedNLI 3); the limit is 0." in text
    assert broken.count('class="banner"') == held.count('class="banner"') + 1


def test_what_was_not_measured_is_no_zero(manifest):
    leakage = _leakage(0)
    del leakage["benchmarks"]["mednli"]["train"]["13"]["in_raw"]
    assert _parsed(page(manifest, leakage)).text.count("not measured") == 1


def test_another_hospital_has_no_benchmarks_patients_or_categories(hospital):
    parsed = _parsed(page(hospital, {**_leakage(0), "benchmarks": {}}))
    text = parsed.text
    assert "30 documents with 300 words." in text
    assert "persons." not in text.partition("From rows")[0]
    for said in (
        "These notes carry no category.",
        "No mark was found.",
        "Not among the files: RadQA, CLIP.",
        "there was nothing to measure against",
        "every note counts as its own patient",
        "--notes notes.jsonl --columns text=... --name hospital",
    ):
        assert said in text
    assert "The limit" not in text
    assert "MIMIC-III and MIMIC-IV together" not in text
    assert len(parsed.labels) == 1  # lengths only


def test_least_that_a_manifest_can_say():
    text = _parsed(page({"name": "x"}, {})).text
    assert "0 documents with 0 words" in text


def test_persons_who_stayed_on_request_are_a_warning(manifest):
    assert "stayed in the corpus" not in _parsed(page(manifest, _leakage(0))).text
    del manifest["counts"]["benchmarks"]["mednli"]["notes removed here"]
    text = _parsed(page(manifest, _leakage(0))).text
    assert "Persons of MedNLI stayed in the corpus" in text
    assert "All notes of these persons left" in text
    del manifest["counts"]["benchmarks"]["radqa"]["notes removed here"]
    text = _parsed(page(manifest, _leakage(0))).text
    assert "Persons of RadQA, MedNLI stayed in the corpus" in text
    assert "All notes of these persons left" not in text


def test_names_from_the_data_are_text(hospital):
    odd = '<img src="x">&amp; $x_1$ "q"\x0b\n' + "病棟" * 3
    hospital["name"] = odd
    hospital["inputs"][0]["path"] = f"{odd}.csv"
    hospital["categories"] = {
        odd: {"documents": 20, "words": 200},
        "": {"documents": 10, "words": 9},
    }
    hospital["lengths"]["documents"] = {odd: [1, 29]}
    hospital["counts"]["deid"] = {"[MISC]": {odd: 3}}
    hospital["stages"][1]["dropped"] = {odd: {"notes": 2, "words": 0}}
    hospital["splits"] = {odd: hospital["splits"]["train"]}
    hospital["options"][odd] = odd
    made = page(hospital, _leakage(0))
    parsed = _parsed(made)
    assert "img" not in parsed.tags
    assert readable(odd) in parsed.text
    assert not re.search(r"[\x00-\x08\x0b-\x1f]", made)
    assert any("$x_1$" in label for label in parsed.labels)
    assert "(none)" in parsed.text  # documents without a category, among those that have one


def test_thousands_of_categories_are_folded(hospital):
    hospital["categories"] = {
        f"ward {k}": {"documents": 1, "words": 10_000 - k} for k in range(5_000)
    }
    made = page(hospital, {})
    text = _parsed(made).text
    assert "5,000 categories" in text
    assert "other (4,981 categories) 4,981" in text
    assert len(made) < 400_000


def test_folding_keeps_the_sums():
    categories = {f"c{k}": {"documents": k, "words": k * k} for k in range(50)}
    rows = folded(categories, 7)
    assert len(rows) == 7
    assert [row.name for row in rows[:2]] == ["c49", "c48"]
    assert rows[-1].name == "other (44 categories)"
    assert sum(row.documents for row in rows) == sum(range(50))
    assert sum(row.words for row in rows) == sum(k * k for k in range(50))
    assert len(folded(categories, 50)) == 50


def test_small_sources_share_a_histogram():
    documents = {f"s{k}": [k, 1] for k in range(6)} | {"empty": [0, 0]}
    edges, shown = lengths_of({"lengths": {"edges": [1, 2, 4], "documents": documents}}, 4)
    assert edges == [1, 2, 4]
    assert shown == {"s5": [5, 1], "s4": [4, 1], "s3": [3, 1], "other (3 sources)": [3, 3]}
    assert lengths_of({"lengths": {"edges": [], "documents": {}}}, 4) == ([], {})


def test_axis_of_lengths_is_labelled_however_alike_documents_are(hospital):
    hospital["lengths"] = {"edges": [8, 11, 16, 23], "documents": {"notes": [0, 30, 0]}}
    chart = page(hospital, {}).partition("<figure>")[2].partition("</figure>")[0]
    assert {"10", "100", "words of a document"} <= set(re.findall(r">([^<>]+)</text>", chart))


@pytest.mark.parametrize(
    "counts, expected",
    [([1, 0, 0], (1, 2)), ([0, 5, 4], (2, 4)), ([2, 2, 5], (4, 8)), ([0, 0, 1], (4, 8))],
)
def test_middle_document_is_in_its_bin(counts, expected):
    assert middle_bin([1, 2, 4, 8], counts) == expected


def test_same_dictionaries_same_bytes_whole_file(manifest, tmp_path):
    first, second = tmp_path / "made" / "report.html", tmp_path / "second.html"
    write_page(manifest, _leakage(0), first)
    through_json = json.loads(json.dumps([manifest, _leakage(0)]))
    write_page(*through_json, second)
    assert first.read_bytes() == second.read_bytes()
    assert first.read_text().startswith("<!DOCTYPE html>")
    assert [path.name for path in first.parent.iterdir()] == ["report.html"]
