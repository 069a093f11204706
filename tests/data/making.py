"""A process that needs a directory made once: TARGET, and what is to happen while it writes.

Prints "made" or "found" at its end. Every process that begins to write adds a line to
TARGET.writers; it writes one part after the other, as many as --parts, --pause seconds each.
"""

from __future__ import annotations

import argparse
import contextlib
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from etils import epath
from etils.epath import gpath
from etils.epath.testing import mock_epath

from clinical_t5x import console
from clinical_t5x.data import lease, made_once

MADE_FROM = {"a": 1}
BUCKET = "gs://bucket"


def main(argv: list[str]) -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("target")
    parser.add_argument("--parts", type=int, default=5)
    parser.add_argument("--pause", type=float, default=0.05)
    parser.add_argument("--expiry", type=float, default=lease.EXPIRY_SECONDS)
    parser.add_argument("--patience", type=float, default=made_once.PATIENCE_SECONDS)
    parser.add_argument("--upload_pause", type=float, default=0.0)
    parser.add_argument("--bucket", type=Path, help=f"folder that {BUCKET} leads to")
    parser.add_argument("--fail", action="store_true")
    options = parser.parse_args(argv)
    lease.EXPIRY_SECONDS, lease.BEAT_SECONDS = options.expiry, 0.1
    lease._SETTLING_SECONDS = 0.1
    made_once.PATIENCE_SECONDS, made_once._LOOK_SECONDS_REMOTE = options.patience, 0.1
    made_once._LOOK_SECONDS = 0.05
    writers = options.target.replace(BUCKET, str(options.bucket)) + ".writers"

    def write(directory, count):
        with open(writers, "a") as file:
            file.write("one\n")
        for part in range(options.parts):
            (directory / f"part{part}").write_text(str(part))
            count(part + 1)
            time.sleep(options.pause)
        if options.fail:
            raise console.UserError("the vocabulary is missing")

    print("ready", flush=True)
    sys.stdin.readline()  # all start at once
    with bucket_in(options.bucket, options.upload_pause) if options.bucket else \
            contextlib.nullcontext():  # fmt: skip
        made = made_once.make_once(
            epath.Path(options.target), MADE_FROM, write, what="thing", total=options.parts
        )
    print("made" if made else "found", flush=True)


@contextlib.contextmanager
def bucket_in(root: Path, upload_pause: float = 0.0) -> Iterator[None]:
    """A folder as a bucket; slow to upload to, and without renaming or links."""

    def there(path):
        return str(path).replace(BUCKET, str(root))

    def back(path):
        return path.replace(str(root), BUCKET)

    by_path = {
        name: lambda original, path, *args, **kwargs: original(there(path), *args, **kwargs)
        for name in ("exists", "isdir", "listdir", "makedirs", "mkdir", "rmtree", "remove", "stat")
    }

    def opened(original, path, mode):
        if "w" in mode:
            Path(there(path)).parent.mkdir(parents=True, exist_ok=True)
        return original(there(path), mode)

    def globbed(original, path):
        return [back(found) for found in original(there(path))]

    def copied(original, path, target, *, overwrite):
        if str(target).startswith(BUCKET):
            time.sleep(upload_pause)
        return original(there(path), there(target), overwrite=overwrite)

    def refused(original, path, target):
        if BUCKET in str(path):
            raise AssertionError(f"a bucket cannot rename {path} in one step")
        return original(path, target)

    gpath._is_tf_installed = lambda: False
    with mock_epath(
        **by_path, open=opened, glob=globbed, copy=copied, rename=refused, replace=refused
    ):
        yield


if __name__ == "__main__":
    console.run_command(main)
