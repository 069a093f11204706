"""Vocabularies side by side: numbers checked by hand, and that nothing of a note gets out."""

import json
import re
from html.parser import HTMLParser

import polars as pl
import pytest
import sentencepiece
from etils import epath

from clinical_t5x.console import UserError
from clinical_t5x.data import documents
from clinical_t5x.data.vocabulary import DEID_TAGS, ClinicalVocabulary
from clinical_t5x.data.vocabulary_comparison import counting, words
from clinical_t5x.data.vocabulary_comparison.compare import OTHER_CATEGORIES, Sample, compare
from clinical_t5x.data.vocabulary_comparison.named import Named, named_vocabularies
from clinical_t5x.data.vocabulary_comparison.page import page
from clinical_t5x.data.vocabulary_comparison.text import share, terminal_lines
from clinical_t5x.data.vocabulary_training import VocabularyOptions, count_words, train_model
from clinical_t5x.storage import read_json, write_json_atomically
from tests.data import tiny

SURNAME = "Harteleson"  # one person's documents, often
RARE_CATEGORY = "Wardnote"


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    """120 held-out documents, of which 30 are of one person who is called by name in each."""
    directory = epath.Path(tmp_path_factory.mktemp("comparison")) / "clinical"
    tiny.write_corpus(directory, tiny.documents(1200))
    for shard in documents.shards_of(directory, "validation"):
        _change(shard)
    manifest = read_json(directory / "manifest.json")
    write_json_atomically(directory / "manifest.json", manifest | {"patients_known": True})
    return directory


def _change(shard):
    table = pl.read_parquet(str(shard)).with_row_index()
    half = pl.col("index") < 15
    table = table.with_columns(
        person_id=pl.when(half).then(pl.lit("test/one")).otherwise("person_id"),
        text=pl.when(half).then(pl.col("text") + f"\nMr {SURNAME} says \u2603").otherwise("text"),
        category=pl.when(pl.col("index") == 3).then(pl.lit(RARE_CATEGORY)).otherwise("category"),
    )
    table.drop("index").write_parquet(str(shard))


@pytest.fixture(scope="module")
def vocabularies(corpus):
    """Ours, and one like T5's own: blanks collapse, no byte pieces, tags are text."""
    folder = epath.Path(corpus).parent
    counts, _ = count_words(documents.shards_of(corpus, "train"))
    counts[f" {SURNAME}"] = 5000  # one piece in ours, so that the name would head the examples
    (folder / "ours.model").write_bytes(train_model(counts, VocabularyOptions(size=420)))
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(line for text in tiny.documents(60) for line in text.split("\n")),
        model_prefix=str(folder / "t5"),
        vocab_size=80,
        character_coverage=1.0,
        hard_vocab_limit=False,
        pad_id=0,
        eos_id=1,
        unk_id=2,
        bos_id=-1,
        normalization_rule_name="nmt_nfkc",
        minloglevel=2,
    )
    return [
        Named("ours", ClinicalVocabulary(folder / "ours.model")),
        Named("T5", ClinicalVocabulary(folder / "t5.model")),
    ]


@pytest.fixture(scope="module")
def comparison(corpus, vocabularies):
    return compare(corpus, vocabularies, Sample())


def held_out(corpus):
    shards = [str(shard) for shard in documents.shards_of(corpus, "validation")]
    return pl.read_parquet(shards)


def test_sums_are_those_of_the_documents(corpus, vocabularies, comparison):
    texts = held_out(corpus)["text"].to_list()
    for named, measured in zip(vocabularies, comparison.vocabularies, strict=True):
        tally = measured.overall
        assert tally.documents == 120
        assert tally.words == sum(len(text.split()) for text in texts)
        assert tally.characters == sum(map(len, texts))
        assert tally.tokens == sum(len(named.vocabulary.encode(text)) for text in texts)
        assert tally.rates()["tokens_per_word"] == tally.tokens / tally.words


def test_ours_loses_nothing_and_the_other_does(comparison):
    ours, other = (one.overall for one in comparison.vocabularies)
    assert ours.exact == ours.exact_words == 120
    assert ours.unknown_tokens == 0
    assert ours.byte_tokens == 3 * 30  # the snowman is three bytes
    assert other.exact == 0  # all have line breaks
    assert other.exact_words == 90  # those without the snowman
    assert other.unknown_tokens == 30
    assert other.byte_tokens == 0


def test_white_space_is_counted(vocabularies):
    """A blank before a digit, a tab and the line breaks."""
    text = "Na 138\tchest\n\npain"
    ours, other = (
        counting.Meter(named.vocabulary).measure(text, words.runs_of_letters(text))
        for named in vocabularies
    )
    assert vocabularies[0].vocabulary.encode(text) != vocabularies[1].vocabulary.encode(text)
    assert ours.whitespace_tokens >= 4
    assert ours.exact == 1
    assert (other.exact, other.exact_words) == (0, 1)


def test_few_persons_share_a_category(comparison):
    for measured in comparison.vocabularies:
        assert list(measured.by_category) == ["Radiology", OTHER_CATEGORIES]
        assert measured.by_category[OTHER_CATEGORIES].documents == 2
        assert sum(tally.tokens for tally in measured.by_category.values()) == (
            measured.overall.tokens
        )


def test_tags_and_pieces(vocabularies, comparison):
    ours, other = comparison.vocabularies
    assert all(ours.tags[tag] for tag in DEID_TAGS)
    assert not any(other.tags.values())
    (pair,) = comparison.overlaps
    sets = [counting.pieces_of(named.vocabulary) for named in vocabularies]
    assert pair.shared == len(sets[0] & sets[1]) > 0
    assert pair.jaccard == pytest.approx(len(sets[0] & sets[1]) / len(sets[0] | sets[1]))
    assert not {"<pad>", "</s>", "<unk>", "<0x0A>"} & (sets[0] | sets[1])


def test_a_vocabulary_and_itself(corpus, vocabularies):
    again = Named("again", vocabularies[0].vocabulary)
    found = compare(corpus, [vocabularies[0], again], Sample())
    assert found.overlaps[0].jaccard == 1
    assert found.vocabularies[0].overall == found.vocabularies[1].overall
    assert found.words == ()


def test_words_that_are_one_piece(vocabularies):
    ours = vocabularies[0].vocabulary
    runs = words.runs_of_letters("chest chest [Name] q7x chestpainx")
    assert runs == {"chest": 2, "q": 1, "x": 1, "chestpainx": 1}
    tally = counting.Meter(ours).measure("chest chest q7x chestpainx", runs)
    whole = [word for word in runs.elements() if len(ours.encode(" " + word)) == 1]
    assert (tally.runs, tally.whole_runs) == (5, len(whole))
    assert "chest" in whole
    assert "chestpainx" not in whole
    assert "".join(counting.cut_word(ours, "chestpainx")) == "chestpainx"


def test_only_words_of_many_persons_are_shown(corpus, comparison):
    texts = held_out(corpus).filter(pl.col("person_id") != "test/one")["text"].to_list()
    assert comparison.words
    for cut in comparison.words:
        assert sum(cut.word in text for text in texts) >= words.LEAST_PERSONS - 1
        assert cut.word.isalpha()
        assert len({len(pieces) for pieces in cut.pieces.values()}) == 2
    everything = page(comparison) + json.dumps(comparison.as_json())
    everything += "\n".join(terminal_lines(comparison))
    for hidden in (SURNAME, SURNAME.lower(), RARE_CATEGORY, "Mr ", "test/"):
        assert hidden not in everything


def test_no_words_where_patients_are_unknown(corpus, vocabularies):
    manifest = read_json(corpus / "manifest.json")
    try:
        write_json_atomically(corpus / "manifest.json", manifest | {"patients_known": False})
        found = compare(corpus, vocabularies, Sample())
    finally:
        write_json_atomically(corpus / "manifest.json", manifest)
    assert found.words == ()
    assert "does not say whose a note is" in page(found)
    assert any("does not say whose" in line for line in terminal_lines(found))


def test_nineteen_persons_are_too_few():
    table = words.WordTable()
    runs = words.runs_of_letters("edema")
    for person in range(words.LEAST_PERSONS - 1):
        table.add(runs, f"p{person}")
        table.add(runs, f"p{person}")
    assert table.shared() == {}
    table.add(words.runs_of_letters("Edema edema"), "another")
    assert table.shared() == {"edema": 2 * words.LEAST_PERSONS - 1}


def test_table_of_words_stays_bounded(monkeypatch):
    monkeypatch.setattr(words, "_MOST_COUNTED_WORDS", 50)
    table = words.WordTable()
    for person in range(60):
        letters = "abcdefghijklmnopqrstuvwxyz"
        rare = " ".join(letters[person % 26] * (person + k + 2) for k in range(5))
        table.add(words.runs_of_letters(f"edema {rare}"), f"p{person}")
        assert len(table._counts) <= 50
        assert len(table._persons) <= 50
    assert table.shared()["edema"] == 60


def test_sample_is_chosen_by_hash(corpus, vocabularies):
    half, again, other = (
        compare(corpus, vocabularies, sample).vocabularies[0].overall
        for sample in (Sample(60), Sample(60), Sample(60, seed=1))
    )
    assert half == again
    assert half != other
    assert 35 < half.documents < 85
    with pytest.raises(UserError, match="--documents must be positive"):
        Sample(0)


class _Outside(HTMLParser):
    """Collects what a page would load, and checks that tags close."""

    def __init__(self):
        super().__init__()
        self.loads, self.open = [], []

    def handle_starttag(self, tag, attributes):
        self.loads += [value for name, value in attributes if name in ("src", "href")]
        if tag not in ("meta", "wbr", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_page_is_whole_and_loads_nothing(comparison):
    found = page(comparison)
    parser = _Outside()
    parser.feed(found)
    assert parser.open == []
    assert parser.loads == []
    assert found.count("<svg") == 2
    ids = re.findall(r'\bid="([^"]+)"', found)
    assert len(ids) == len(set(ids))
    assert "Synthetic data." in found


def test_labels_and_files(vocabularies, tiny_home, tmp_path):
    file = vocabularies[1].vocabulary.sentencepiece_model_file
    ours, theirs, third = named_vocabularies(["clinical", file, f"T5 own={file}"], tiny_home)
    assert (ours.label, theirs.label, third.label) == ("clinical", "t5", "T5 own")
    assert theirs.vocabulary == third.vocabulary
    folder = tiny_home / "vocabularies" / "clinical"
    assert named_vocabularies([str(folder), file])[0].label == "clinical"
    with pytest.raises(UserError, match="two vocabularies are called 't5'"):
        named_vocabularies([file, file])
    with pytest.raises(UserError, match=r"'unheard' .*there: clinical"):
        named_vocabularies(["clinical", "unheard"], tiny_home)
    with pytest.raises(UserError, match=r"no vocabulary at .*gone\.model"):
        named_vocabularies(["clinical", str(tmp_path / "gone.model")], tiny_home)


@pytest.mark.parametrize(
    ("value", "written"),
    [(0, "0.0 %"), (1, "100.0 %"), (0.00001, "< 0.1 %"), (0.9999, "> 99.9 %"), (0.123, "12.3 %")],
)
def test_shares_never_round_to_nothing_or_all(value, written):
    assert share(value) == written
