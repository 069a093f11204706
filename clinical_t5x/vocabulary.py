"""Train the vocabulary on a prepared corpus, extend one by tokens, or compare vocabularies.

python -m clinical_t5x.vocabulary
python -m clinical_t5x.vocabulary --corpus hospital --name hospital --size 8000
python -m clinical_t5x.vocabulary compare clinical T5=/path/to/spiece.model
python -m clinical_t5x.vocabulary extend /path/to/spiece.model --name t5_deid
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence

from clinical_t5x.console import EXIT_DONE, UserError, run_command, say, say_json

_MOST_PIECES_OF_TINY = 3_996  # gin/models/tiny.gin


def main(argv: Sequence[str]) -> int:
    """Train the vocabulary, or what the first word says: `compare` or `extend`."""
    if argv and argv[0] == "compare":
        return compare(argv[1:])
    if argv and argv[0] == "extend":
        return extend(argv[1:])
    return train(argv)


def train(argv: Sequence[str]) -> int:
    """Train the vocabulary; do nothing when it is there already."""
    options = _training_parser().parse_args(argv)
    from clinical_t5x.corpus.names import check_name
    from clinical_t5x.data import home, vocabulary_training
    from clinical_t5x.data.vocabulary import MODEL_FILE

    check_name(options.name)
    corpus = home.corpus_directory(options.corpus, options.data_dir)
    directory = home.vocabulary_directory(options.name, options.data_dir)
    how = vocabulary_training.VocabularyOptions(
        size=options.size,
        max_words=options.max_words,
        lower_case=options.lower_case,
        seed=options.seed,
        t5_whitespace=options.t5_whitespace,
    )
    say(f"Training vocabulary {options.name!r} on {corpus}")
    if vocabulary_training.is_trained(corpus, directory, how):
        say("It is there already, made from the same corpus with the same options.")
    elif (directory / MODEL_FILE).exists() and not options.overwrite:
        raise UserError(
            f"{directory} holds a vocabulary of another corpus or with other options, which models"
            " may have been trained with; choose another --name, or --overwrite it"
        )
    started = time.monotonic()
    manifest = vocabulary_training.train_vocabulary(corpus, directory, how)
    _report(manifest, time.monotonic() - started)
    say(f"Vocabulary: {directory}")
    say(f"Next: {_next_step(options, manifest['pieces'])}")
    if options.json:
        say_json({"vocabulary": str(directory), **manifest})
    return EXIT_DONE


def compare(argv: Sequence[str]) -> int:
    """Measure vocabularies on held-out documents; print, and write JSON and a page."""
    options = _comparison_parser().parse_args(argv)
    from clinical_t5x import storage
    from clinical_t5x.data import home
    from clinical_t5x.data.vocabulary_comparison import compare as comparing
    from clinical_t5x.data.vocabulary_comparison.named import named_vocabularies
    from clinical_t5x.data.vocabulary_comparison.page import page
    from clinical_t5x.data.vocabulary_comparison.text import terminal_lines

    out = storage.absolute(options.out)
    if out.exists() and not out.is_dir():
        raise UserError(f"--out {out} is a file; name a folder")
    sample = comparing.Sample(documents=options.documents, seed=options.seed, words=options.words)
    corpus = home.corpus_directory(options.corpus, options.data_dir)
    vocabularies = named_vocabularies(options.vocabularies, options.data_dir)
    say(f"Comparing {', '.join(one.label for one in vocabularies)} on {corpus}")
    comparison = comparing.compare(corpus, vocabularies, sample)
    for line in terminal_lines(comparison):
        say(line)
    if comparison.synthetic:
        say("Synthetic data: these numbers say nothing about real notes.")
    found = comparison.as_json()
    storage.write_json_atomically(out / "comparison.json", found)
    storage.write_text_atomically(out / "comparison.html", page(comparison))
    say(f"Report: {out / 'comparison.html'} (also comparison.json)")
    if options.json:
        say_json({"report": str(out / "comparison.html"), **found})
    return EXIT_DONE


def extend(argv: Sequence[str]) -> int:
    """Add tokens to a vocabulary whose ids all stay, as T5's own with the tags of MIMIC."""
    options = _extension_parser().parse_args(argv)
    from clinical_t5x.corpus.names import check_name
    from clinical_t5x.data import home
    from clinical_t5x.data.vocabulary import DEID_TAGS, ClinicalVocabulary
    from clinical_t5x.data.vocabulary_comparison.named import named_vocabulary
    from clinical_t5x.data.vocabulary_extension import extend_vocabulary

    check_name(options.name)
    file = named_vocabulary(options.base, options.data_dir).vocabulary.sentencepiece_model_file
    base = ClinicalVocabulary(file, options.extra_ids)
    tokens = [*([] if options.no_tags else DEID_TAGS), *options.token]
    if options.newlines:
        tokens.append("\n")
    directory = home.vocabulary_directory(options.name, options.data_dir)
    say(f"Extending {file} ({base.vocab_size:,} ids) as vocabulary {options.name!r}")
    manifest = extend_vocabulary(base, directory, tokens)
    added = manifest["added"]
    say(
        f"{len(added)} tokens added as ids {added[0]['id']:,} to {added[-1]['id']:,}:"
        f" {' '.join(repr(one['token'])[1:-1] for one in added)}"
    )
    say(f"The {manifest['extra_ids']} sentinels and all ids of the base are what they were.")
    say(f"Vocabulary: {directory}")
    say(
        "Next: give a checkpoint rows for the new tokens: python -m clinical_t5x.convert"
        f" CHECKPOINT NEW_DIR --to native --extend_vocabulary {options.name}"
    )
    if options.json:
        say_json({"vocabulary": str(directory), **manifest})
    return EXIT_DONE


def _training_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m clinical_t5x.vocabulary",
        description="Train a SentencePiece vocabulary on a prepared corpus (docs/data.md).",
        epilog="`compare --help` after the module's name: vocabularies side by side;"
        " `extend --help`: one with more tokens.",
    )
    parser.add_argument("--data_dir", help="data home; default $CLINICAL_T5X_DATA")
    parser.add_argument("--corpus", default="clinical", help="name of the corpus (%(default)s)")
    parser.add_argument("--name", default="clinical", help="the vocabulary's name (%(default)s)")
    parser.add_argument(
        "--size", type=int, default=32_000, help="pieces without the 100 sentinels (%(default)s)"
    )
    parser.add_argument(
        "--max_words", type=int, default=200_000_000, help="words to read at most (%(default)s)"
    )
    parser.add_argument("--lower_case", action="store_true", help="fold case: not lossless")
    parser.add_argument(
        "--t5_whitespace",
        action="store_true",
        help="drop newlines, tabs and repeated blanks as T5's own does: not lossless",
    )
    parser.add_argument("--seed", type=int, default=0, help="chooses documents when not all fit")
    parser.add_argument(
        "--overwrite", action="store_true", help="replace another vocabulary of that name"
    )
    parser.add_argument("--json", action="store_true", help="end with a summary as one JSON line")
    return parser


def _extension_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m clinical_t5x.vocabulary extend",
        description="Add tokens to a vocabulary, by default the 15 de-identification tags"
        " (docs/data.md).",
    )
    parser.add_argument(
        "base",
        metavar="BASE",
        help="the path of a SentencePiece model, as T5's spiece.model, or a name in the data home",
    )
    parser.add_argument("--name", required=True, help="what the new vocabulary is called")
    parser.add_argument("--data_dir", help="data home; default $CLINICAL_T5X_DATA")
    parser.add_argument(
        "--token", action="append", default=[], help="a further token; may be repeated"
    )
    parser.add_argument("--newlines", action="store_true", help="make the newline a token")
    parser.add_argument("--no_tags", action="store_true", help="leave the 15 tags out")
    parser.add_argument(
        "--extra_ids", type=int, default=100, help="sentinels on top of BASE (%(default)s)"
    )
    parser.add_argument("--json", action="store_true", help="end with a summary as one JSON line")
    return parser


def _comparison_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m clinical_t5x.vocabulary compare",
        description="Compare vocabularies on held-out documents of a corpus (docs/data.md).",
    )
    parser.add_argument(
        "vocabularies",
        nargs="+",
        metavar="VOCABULARY",
        help="a name in the data home, a path of a SentencePiece model, or LABEL=PATH",
    )
    parser.add_argument("--data_dir", help="data home; default $CLINICAL_T5X_DATA")
    parser.add_argument("--corpus", default="clinical", help="name of the corpus (%(default)s)")
    parser.add_argument(
        "--documents", type=int, default=5_000, help="held-out documents, about (%(default)s)"
    )
    parser.add_argument("--words", type=int, default=30, help="examples of words (%(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="chooses other documents")
    parser.add_argument(
        "--out",
        default="runs/vocabulary_comparison",
        metavar="DIR",
        help="folder for comparison.html and comparison.json (%(default)s)",
    )
    parser.add_argument("--json", action="store_true", help="end with the numbers as one JSON line")
    return parser


def _next_step(options: argparse.Namespace, pieces: int) -> str:
    if not options.corpus == options.name == "clinical":
        return "register a task for it (docs/data.md, another corpus)"
    recipe = "demo" if pieces <= _MOST_PIECES_OF_TINY else "clinical_base"
    return f"python -m t5x.train --gin_file=gin/{recipe}.gin"


def _report(manifest: dict, seconds: float) -> None:
    trained_on, held_out = manifest["trained_on"], manifest["held_out"]
    say(
        f"{manifest['pieces']:,} pieces and {manifest['extra_ids']} sentinels from"
        f" {trained_on['documents']:,} documents, in {seconds:.0f} s"
    )
    if manifest["pieces"] < manifest["pieces_asked_for"]:
        say(
            f"The corpus supports fewer than the {manifest['pieces_asked_for']:,} pieces asked"
            " for; the vocabulary has all that it supports."
        )
    say(
        f"Held-out text: {held_out['tokens_per_word']} tokens a word, of which"
        f" {held_out['byte_tokens']:,} of {held_out['tokens']:,} are single bytes"
    )


if __name__ == "__main__":
    run_command(main)
