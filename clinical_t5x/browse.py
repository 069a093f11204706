"""Look at predictions beside gold: `python -m clinical_t5x.browse --run DIR`.

Makes an HTML page of each prediction file of a run that was written with text: wrong answers beside
right ones, answers marked where they stand in the context, filtered by label and by confidence. The
page holds note text: it belongs where the notes are, and it loads and sends nothing.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from clinical_t5x import console


def main(argv: Sequence[str]) -> int:
    """Find the predictions, write the pages."""
    options = _parser().parse_args(argv)
    from clinical_t5x.storage import absolute, write_text_atomically

    if options.out is not None and not options.out.endswith(".html"):
        raise console.UserError(f"--out {options.out}: the page is one HTML file; name it so")

    from clinical_t5x.evaluation.browser.lines import find_predictions
    from clinical_t5x.evaluation.browser.page import page

    found = find_predictions(options.run, task=options.task, split=options.split, step=options.step)
    if options.out is not None and len(found) > 1:
        raise console.UserError(
            f"{options.run} holds several predictions ({', '.join(p.name for p in found)}) and"
            " --out names one page: choose with --task, --split and --step, or leave --out out"
        )
    pages = []
    for predictions in found:
        beside = predictions.path.parent / f"{predictions.name}.html"
        out = beside if options.out is None else absolute(options.out)
        write_text_atomically(out, page(predictions))
        pages.append({"page": str(out), "examples": len(predictions.lines)})
        console.say(f"{predictions.name}: {len(predictions.lines):,} examples: {out}")
    if all(predictions.synthetic for predictions in found):
        console.say("Synthetic data: these answers say nothing about real notes.")
    else:
        console.say("These pages hold text of notes: keep them where the notes may be.")
    console.say("Next: open a page in a browser; it works without a network.")
    if options.json:
        console.say_json({"pages": pages})
    return console.EXIT_DONE


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m clinical_t5x.browse",
        description="HTML pages to look at wrong predictions beside gold. Needs predictions that"
        " were written with --with_text; the pages are note text, too.",
    )
    parser.add_argument("--run", required=True, metavar="DIR", help="run directory, or a parent")
    parser.add_argument("--task", help="only predictions of this task")
    parser.add_argument("--split", help="only predictions of this split")
    parser.add_argument("--step", type=int, help="only predictions of this checkpoint step")
    parser.add_argument("--out", help="HTML file (default: beside the predictions)")
    parser.add_argument("--json", action="store_true", help="end with a summary in JSON")
    return parser


if __name__ == "__main__":
    console.run_command(main)
