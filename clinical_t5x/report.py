"""Show results: `python -m clinical_t5x.report --runs DIR [DIR ...] --paper --out report.html`.

Prints the table of scores and paired differences, and writes one HTML file with everything; beside
it the tables as LaTeX, CSV and Markdown and each picture as SVG and PNG. `--paper` puts the
published numbers of "Do We Still Need Clinical Language Models?" into it, marked as such; without
`--runs` the report is of them alone.
"""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Sequence
from pathlib import Path

from clinical_t5x import console

_NO_PAPER, _MAIN, _ALL = "none", "main", "all"


def main(argv: Sequence[str]) -> int:
    """Collect, print, write."""
    options = _parser().parse_args(argv)
    out = Path(options.out)
    if out.suffix != ".html":
        raise console.UserError(f"--out {out}: the report is one HTML file; name it so")
    if not options.runs and options.paper == _NO_PAPER:
        raise console.UserError(
            "there is nothing to report: --runs DIR names run directories (or parents of several),"
            " --paper takes the published numbers; runs come from eval, grid, finetune, prompt or"
            " majority"
        )
    console.say(_plan(options))

    from clinical_t5x.evaluation.report import text
    from clinical_t5x.evaluation.report.collect import collect
    from clinical_t5x.evaluation.report.files import write_report
    from clinical_t5x.evaluation.report.pictures import all_pictures

    data = collect(
        options.runs,
        split=options.split,
        published=options.paper,
        corpus=options.corpus,
        command=shlex.join(["python", "-m", "clinical_t5x.report", *argv]),
    )
    _print(text.terminal_table(data))
    if data.synthetic != "none":
        console.say("Synthetic data: these numbers say nothing about real notes.")
    pictures = all_pictures(data)
    with console.Progress("draw and write", len(pictures), unit="pictures") as progress:
        written = write_report(data, pictures, out, wrote=progress.advance)
    console.say(f"Report: {out}")
    console.say(f"Beside it: {', '.join(path.name for path in written[1:])}")
    if options.json:
        console.say_json(
            {
                "report": str(out),
                "files": [str(path) for path in written],
                "results": text.rows_as_dicts(data),
            }
        )
    else:
        console.say(f"Next: open {out} in a browser; \\input{{{out.stem}_main.tex}} in a paper")
    return console.EXIT_DONE


def _plan(options: argparse.Namespace) -> str:
    parts = [f"results of the {options.split} split in {', '.join(options.runs)}"]
    if not options.runs:
        parts = []
    if options.paper != _NO_PAPER:
        count = {_MAIN: "twelve", _ALL: "sixteen"}[options.paper]
        parts.append(f"the paper's published numbers of {count} models")
    return f"Reporting {' and '.join(parts)}."


def _print(renderable: object) -> None:
    import sys

    from rich.console import Console

    # Off a terminal rich takes 80 columns and would break the table.
    width = None if sys.stdout.isatty() else 120
    Console(width=width, highlight=False).print(renderable)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m clinical_t5x.report",
        description="Scores of runs, and the paper's, as tables and figures: HTML, LaTeX, CSV,"
        " Markdown, SVG and PNG.",
    )
    parser.add_argument(
        "--runs", nargs="+", default=[], metavar="DIR", help="run directories, or their parents"
    )
    parser.add_argument(
        "--paper",
        nargs="?",
        const=_MAIN,
        default=_NO_PAPER,
        choices=(_NO_PAPER, _MAIN, _ALL),
        help="published numbers beside them, marked: the twelve models of the paper's main tables"
        " (main, also without a word), all sixteen, or none (%(default)s)",
    )
    parser.add_argument("--out", default="report.html", help="HTML file (%(default)s)")
    parser.add_argument("--split", default="test", help="split to report (%(default)s)")
    parser.add_argument("--corpus", metavar="DIR", help="prepared corpus, for its counts")
    parser.add_argument("--json", action="store_true", help="end with a summary in JSON")
    return parser


if __name__ == "__main__":
    console.run_command(main)
