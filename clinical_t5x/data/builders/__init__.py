"""TFDS data sets of the corpus and the benchmarks: `build_all` writes them."""

from clinical_t5x.data.builders.build import build_all, build_benchmark, build_corpus

__all__ = ["build_all", "build_benchmark", "build_corpus"]
