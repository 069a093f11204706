"""Writing TFDS data sets: whole or absent, many shards, skipped when nothing has changed."""

from __future__ import annotations

import contextlib
import io
import os
from collections.abc import Mapping
from typing import Any

from etils import epath

from clinical_t5x.console import UserError
from clinical_t5x.corpus.sources import is_synthetic
from clinical_t5x.data import benchmarks
from clinical_t5x.data.builders import versions
from clinical_t5x.data.documents import count_documents, shards_of
from clinical_t5x.data.home import tfds_directory
from clinical_t5x.data.quiet_import import import_tensorflow
from clinical_t5x.storage import (
    is_complete,
    read_json,
    sha256_file,
    stage_directory,
)

# A data set of one shard cannot be split over hosts; a shard should still be worth a file.
_MOST_SHARDS = 64
_EXAMPLES_PER_SHARD = 500


def build_all(
    *,
    corpus_dir: str | os.PathLike,
    physionet: str | os.PathLike | None,
    data_dir: str | os.PathLike,
) -> list[epath.Path]:
    """Write the data sets of a prepared corpus and of the benchmarks that are there.

    Args:
      corpus_dir: a prepared corpus; its folder's name is the corpus' name.
      physionet: directory with the PhysioNet files, when there are any.
      data_dir: the data home.

    Returns:
      The directory of every data set, whether written now or found complete.

    Raises:
      UserError: a corpus or a benchmark file that is not as it must be.
    """
    built = [build_corpus(epath.Path(corpus_dir), data_dir)]
    if physionet:
        root = epath.Path(physionet)
        for benchmark in benchmarks.FILES:
            if benchmarks.is_present(benchmark, root):
                built.append(build_benchmark(benchmark, root, data_dir))
    return built


def build_corpus(corpus_dir: epath.Path, data_dir: str | os.PathLike) -> epath.Path:
    """Write the data set `clinical_notes` of a prepared corpus; returns its directory."""
    documents = {
        split: sum(map(count_documents, shards_of(corpus_dir, split)))
        for split in ("train", "validation")
    }
    manifest = read_json(corpus_dir / "manifest.json")
    name = versions.dataset_of_corpus(corpus_dir.name)
    made_from = {
        "data_set": f"{name}:{versions.CLINICAL_NOTES}",
        "corpus": manifest["content_sha256"],
        "synthetic": bool(manifest.get("synthetic", False)),
    }
    for split, count in documents.items():
        if count == 0:
            raise UserError(
                f"the corpus at {corpus_dir} has no documents in its split {split!r}, for which it"
                " needs notes of two persons at least; prepare notes of more persons, or check"
                " which column --columns patient=NAME takes for the person"
            )
    return _build(name, versions.CLINICAL_NOTES, made_from, corpus_dir, documents, data_dir)


def build_benchmark(
    benchmark: str, physionet: epath.Path, data_dir: str | os.PathLike
) -> epath.Path:
    """Write the data set of a benchmark; returns its directory."""
    version = versions.BENCHMARKS[benchmark]
    files = benchmarks.files_of(benchmark, physionet)
    made_from = {
        "data_set": f"{benchmark}:{version}",
        "files": {path.name: sha256_file(path) for path in files.values()},
        "synthetic": any(map(is_synthetic, files.values())),
    }
    directory = tfds_directory(data_dir) / benchmark / version
    if is_complete(directory, made_from):
        return directory
    records = benchmarks.read(benchmark, physionet)
    counts = {split: len(found) for split, found in records.items()}
    return _build(benchmark, version, made_from, physionet, counts, data_dir)


def _build(
    name: str,
    version: str,
    made_from: Mapping[str, Any],
    manual_dir: epath.Path,
    counts: Mapping[str, int],
    data_dir: str | os.PathLike,
) -> epath.Path:
    """Run a builder into a hidden directory and put its files in place at once."""
    directory = tfds_directory(data_dir) / name / version
    if is_complete(directory, dict(made_from)):
        return directory
    import_tensorflow()
    import tensorflow_datasets as tfds

    dataset, _, config = name.partition("/")
    # TFDS gives every split as many shards, and none may be empty.
    wanted = max(1, max(counts.values()) // _EXAMPLES_PER_SHARD)
    num_shards = min(_MOST_SHARDS, wanted, min(counts.values()))
    with stage_directory(directory, dict(made_from)) as partial:
        builder = _builder_classes()[dataset](
            data_dir=partial / "build",
            config=tfds.core.BuilderConfig(name=config) if config else None,
        )
        tfds.disable_progress_bar()
        with contextlib.redirect_stdout(io.StringIO()):  # TFDS prints where it writes
            builder.download_and_prepare(
                download_config=tfds.download.DownloadConfig(
                    manual_dir=manual_dir, num_shards=num_shards
                )
            )
        for file in (partial / "build" / name / version).iterdir():
            file.rename(partial / file.name)
        (partial / "build").rmtree()
    return directory


def _builder_classes() -> dict[str, type]:
    from clinical_t5x.data.builders.clinical_notes import ClinicalNotes
    from clinical_t5x.data.builders.clip import Clip
    from clinical_t5x.data.builders.mednli import Mednli
    from clinical_t5x.data.builders.mednli_bionlp19 import MednliBionlp19
    from clinical_t5x.data.builders.radqa import Radqa

    return {
        "clinical_notes": ClinicalNotes,
        "mednli": Mednli,
        "mednli_bionlp19": MednliBionlp19,
        "radqa": Radqa,
        "clip": Clip,
    }
