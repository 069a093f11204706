"""Does the vocabulary lose a byte? decode(encode(x)) == x on documents and on adversarial texts.

    python benchmarks/vocabulary_round_trip.py --data_dir runs/study/data
    python benchmarks/vocabulary_round_trip.py --data_dir runs/study/data --vocabulary clinical

The first trains a vocabulary with the default options in a temporary folder, the second takes one
of the data home (or a model file). 10,000 documents of the prepared corpus, chosen by a hash of
their ids, then texts made to break things: the character that SentencePiece writes for a blank and
the ones that escape it, control characters, NUL, all kinds of line ends and blanks, emojis, what
looks like special tokens, and random Unicode. One document at a time is in memory. Prints a
summary, never a note's text; exits with 1 when a text did not come back.
"""

from __future__ import annotations

import argparse
import itertools
import random
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator

from etils import epath

from clinical_t5x import console
from clinical_t5x.data import home
from clinical_t5x.data.documents import read_documents, shards_of
from clinical_t5x.data.vocabulary import DEID_TAGS, MODEL_FILE, ClinicalVocabulary
from clinical_t5x.data.vocabulary_training import (
    VocabularyOptions,
    hash_fraction,
    train_vocabulary,
)
from clinical_t5x.storage import read_json

# Two and three of these in every order find what one alone does not.
HARD = (
    "\u2581", "\ue000", "\ue001", "\ue002", "\x00", "\x01", "\x1b", "\x7f", "\x85", "\ufeff",
    "\ufffd", "\ufffe", "\U0010ffff", " ", "  ", "\n", "\r\n", "\r", "\t", "\v", "\f", "\u00a0",
    "\u2003", "\u2028", "\u3000", "\u200b", "\u200d", "\u202e", "e\u0301", "\u00e9", "\ufb01",
    "\U0001f489", "\U0001f468\u200d\u2695\ufe0f", "\U0001f1e8\U0001f1ed", "<pad>", "</s>", "<unk>",
    "<extra_id_0>", "<0x0A>", " \u2047 ", "7", "a", *DEID_TAGS,
)  # fmt: skip


def main() -> int:
    options = _parser().parse_args()
    corpus = home.corpus_directory(options.corpus, options.data_dir)
    failed = 0
    with tempfile.TemporaryDirectory() as folder:
        vocabulary = _vocabulary(options, corpus, epath.Path(folder))
        print(f"{vocabulary.vocab_size:,} ids, content {vocabulary.content_hash[:16]}")
        for name, texts in (
            ("documents", documents(corpus, options.documents, options.seed)),
            ("adversarial texts", adversarial_texts()),
            ("random texts", random_texts(options.random_texts, options.seed)),
        ):
            failed += check(name, texts, vocabulary)
    print("every byte came back" if not failed else f"{failed:,} texts did not come back")
    return 1 if failed else 0


def check(name: str, texts: Iterable[str], vocabulary: ClinicalVocabulary) -> int:
    """Encode and decode each text; print how many came back, return how many did not."""
    started = time.monotonic()
    number = size = tokens = failed = 0
    for text in texts:
        ids = vocabulary.encode(text)
        wanted = text.encode()
        number, size, tokens = number + 1, size + len(wanted), tokens + len(ids)
        failed += vocabulary.decode(ids).encode() != wanted
    seconds = time.monotonic() - started
    print(
        f"{name}: {number - failed:,} of {number:,} came back byte for byte"
        f" ({size:,} bytes, {tokens:,} tokens, {seconds:.1f} s)",
        flush=True,
    )
    return failed


def documents(corpus: epath.Path, most: int, seed: int) -> Iterator[str]:
    """Texts of `most` documents of both splits, chosen by a hash of their ids."""
    splits = read_json(corpus / "manifest.json")["splits"]
    total = sum(split["documents"] for split in splits.values())
    # A few more than wanted, since a hash does not choose an exact number.
    fraction = 1.1 * most / total + 10 / total
    shards = [shard for split in sorted(splits) for shard in shards_of(corpus, split)]
    chosen = (
        row["text"]
        for shard in reversed(shards)  # validation first: no vocabulary was trained on it
        for batch in read_documents(shard, ("document_id", "text"))
        for row in batch.to_pylist()
        if hash_fraction(row["document_id"], seed) < fraction
    )
    return itertools.islice(chosen, most)


def adversarial_texts() -> Iterator[str]:
    """Hard strings alone, twice, inside a word, and in every ordered pair and some triples."""
    yield ""
    for hard in HARD:
        yield from (hard, hard + hard, f"chest{hard}pain", f" {hard} ", f"\n{hard}\n")
    for pair in itertools.product(HARD, repeat=2):
        yield "".join(pair)
    for triple in itertools.product(HARD[:20], repeat=3):
        yield "".join(triple)
    yield "".join(map(chr, range(0x0, 0xD800)))
    yield "x" * 100_000
    yield " " * 10_000 + "\n" * 10_000


def random_texts(number: int, seed: int) -> Iterator[str]:
    """Random code points of every plane (no surrogates, which are no text), up to 60 of them."""
    chance = random.Random(seed)
    for _ in range(number):
        top = chance.choice((0x80, 0x800, 0x10000, 0x110000))
        points = (chance.randrange(top) for _ in range(chance.randrange(60)))
        yield "".join(chr(point) for point in points if not 0xD800 <= point < 0xE000)


def _vocabulary(
    options: argparse.Namespace, corpus: epath.Path, folder: epath.Path
) -> ClinicalVocabulary:
    if not options.vocabulary:
        print(f"training {options.size:,} pieces with the default options")
        train_vocabulary(corpus, folder / "trained", VocabularyOptions(size=options.size))
        return ClinicalVocabulary(folder / "trained" / MODEL_FILE)
    if "/" in options.vocabulary:
        return ClinicalVocabulary(options.vocabulary)
    directory = home.vocabulary_directory(options.vocabulary, options.data_dir)
    return ClinicalVocabulary(directory / MODEL_FILE)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data_dir", help="data home; default $CLINICAL_T5X_DATA")
    parser.add_argument("--corpus", default="clinical", help="name of the corpus (%(default)s)")
    parser.add_argument("--vocabulary", help="name in the data home or a path; default: train one")
    parser.add_argument("--size", type=int, default=32_000, help="pieces when one is trained")
    parser.add_argument("--documents", type=int, default=10_000, help="(%(default)s)")
    parser.add_argument("--random_texts", type=int, default=20_000, help="(%(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="chooses documents and random texts")
    return parser


if __name__ == "__main__":
    console.quiet_third_parties()
    sys.exit(main())
