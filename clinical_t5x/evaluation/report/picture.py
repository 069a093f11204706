"""A picture that is drawn once and used twice: inside the page, and as files for a paper."""

from __future__ import annotations

import dataclasses
import io
from collections.abc import Callable

from clinical_t5x import webpage
from clinical_t5x.webpage import Chart

_DOTS_PER_INCH = 200


@dataclasses.dataclass(frozen=True)
class Picture:
    """A figure.

    Attributes:
      name: Different for each picture of a report; part of file names.
      height: Inches.
      draw: Draws on a chart's figure.
      words: The picture for those who do not see it.
      caption: What stands under it.
    """

    name: str
    height: float
    draw: Callable[[Chart], None]
    words: str
    caption: str

    def html(self) -> str:
        """The picture with its caption, for a page."""
        with Chart(self.name, height=self.height) as chart:
            self.draw(chart)
            return webpage.figure(chart.svg(), self.words, self.caption)

    def files(self) -> dict[str, bytes]:
        """The picture by ending: "svg" and "png" (200 dots per inch), on white."""
        found = {}
        with Chart(self.name, height=self.height) as chart:
            self.draw(chart)
            for ending, options in (
                ("svg", {"metadata": {"Date": None}}),
                ("png", {"dpi": _DOTS_PER_INCH}),
            ):
                buffer = io.BytesIO()
                chart.figure.savefig(buffer, format=ending, facecolor="white", **options)
                found[ending] = buffer.getvalue()
        return found
