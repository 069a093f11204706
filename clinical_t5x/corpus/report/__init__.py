"""The data report of a corpus: one HTML page from its manifest and its leakage measurement."""

from clinical_t5x.corpus.report.page import draw, write_page

__all__ = ["draw", "write_page"]
