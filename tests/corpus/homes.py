"""Data homes that a preparation writes to, whatever happens to it on the way."""

import json
import signal

from clinical_t5x import storage
from tests.corpus import faults


class Home:
    """A data home, and what is in it of the corpus `clinical`."""

    def __init__(self, path, physionet):
        self.path, self.corpora = path, path / "corpus"
        self.corpus = self.corpora / "clinical"
        self.arguments = ("--physionet", physionet, "--data_dir", path)

    def killed(self, at, call=1, *more, **faulty):
        done = faults.run(*self.arguments, *more, at=at, call=call, **faulty)
        assert done.returncode == -signal.SIGKILL, done.stderr
        return done

    def finished(self, *more, **faulty):
        done = faults.run(*self.arguments, *more, **faulty)
        assert done.returncode == 0, done.stderr
        return json.loads((self.corpus / "manifest.json").read_text())

    def staged_batches(self):
        """The finished batches, and when they were finished."""
        counts = self.corpora / ".clinical.staged" / "counts"
        return {path.name: path.stat().st_mtime_ns for path in counts.glob("*.json")}

    def staged_files(self):
        """How many files of all kinds were staged."""
        return len(list((self.corpora / ".clinical.staged").rglob("*.*")))

    def assert_nothing_looks_complete(self):
        assert not self.corpus.exists()

    def assert_nothing_else_is_left(self):
        assert [path.name for path in self.corpora.iterdir()] == ["clinical"]
        assert storage.is_complete(self.corpus)
