"""Show results: `python -m clinical_t5x.report --runs DIR [DIR ...] --out report.html`.

Prints the table of scores and paired differences, and writes one HTML file with everything; beside
it the table as Markdown and CSV.
"""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Sequence
from pathlib import Path

from clinical_t5x import console


def main(argv: Sequence[str]) -> int:
    """Collect, print, write."""
    options = _parser().parse_args(argv)
    out = Path(options.out)
    if out.suffix != ".html":
        raise console.UserError(f"--out {out}: the report is one HTML file; name it so")

    from clinical_t5x.evaluation.report import text
    from clinical_t5x.evaluation.report.collect import collect
    from clinical_t5x.evaluation.report.page import page
    from clinical_t5x.storage import write_text_atomically

    data = collect(
        options.runs,
        split=options.split,
        corpus=options.corpus,
        command=shlex.join(["python", "-m", "clinical_t5x.report", *argv]),
    )
    _print(text.terminal_table(data))
    if data.synthetic != "none":
        console.say("Synthetic data: these numbers say nothing about real notes.")
    files = {out: page(data)}
    files[out.with_suffix(".md")] = text.markdown(data)
    files[out.with_suffix(".csv")] = text.csv_text(data)
    for path, content in files.items():
        write_text_atomically(path, content)
    console.say(f"Report: {out} (also {', '.join(path.name for path in list(files)[1:])})")
    if options.json:
        console.say_json({"report": str(out), "results": text.rows_as_dicts(data)})
    return console.EXIT_DONE


def _print(renderable: object) -> None:
    import sys

    from rich.console import Console

    # Off a terminal rich takes 80 columns and would break the table.
    width = None if sys.stdout.isatty() else 120
    Console(width=width, highlight=False).print(renderable)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m clinical_t5x.report",
        description="Scores of runs as a table, an HTML page, Markdown and CSV.",
    )
    parser.add_argument(
        "--runs", nargs="+", required=True, metavar="DIR", help="run directories, or their parents"
    )
    parser.add_argument("--out", default="report.html", help="HTML file (%(default)s)")
    parser.add_argument("--split", default="test", help="split to report (%(default)s)")
    parser.add_argument("--corpus", metavar="DIR", help="prepared corpus, for its counts")
    parser.add_argument("--json", action="store_true", help="end with a summary in JSON")
    return parser


if __name__ == "__main__":
    console.run_command(main)
