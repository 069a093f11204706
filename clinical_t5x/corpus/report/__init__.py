"""The data report of a corpus: one HTML page from its manifest and its leakage measurement."""

from clinical_t5x.corpus.report.page import write_page

__all__ = ["write_page"]
