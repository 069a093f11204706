"""All rows by key, and a row by key or by Hugging Face id."""

from __future__ import annotations

import difflib
import types
from collections.abc import Mapping

from clinical_t5x.console import UserError
from clinical_t5x.evaluation.registry.appendix_models import APPENDIX_MODELS
from clinical_t5x.evaluation.registry.paper_models import PAPER_MODELS
from clinical_t5x.evaluation.registry.row import ModelRow
from clinical_t5x.evaluation.registry.todays_models import TODAYS_MODELS

# In the order of the paper's Table 2, then by size.
MODELS: Mapping[str, ModelRow] = types.MappingProxyType(
    {row.key: row for row in (*PAPER_MODELS, *APPENDIX_MODELS, *TODAYS_MODELS)}
)


def model_row(key: str) -> ModelRow:
    """The row of a key.

    Raises:
      UserError: there is none; the message has near ones.
    """
    if key in MODELS:
        return MODELS[key]
    wanted = key.lower().replace("-", "_").replace(" ", "_")
    near = difflib.get_close_matches(wanted, MODELS, n=3, cutoff=0.5)
    advice = f"did you mean {' or '.join(near)}?" if near else f"there are {', '.join(MODELS)}"
    raise UserError(f"no model {key!r} in the registry; {advice}")


def row_of_source(source: str) -> ModelRow | None:
    """The row whose weights a Hugging Face id names, case aside; None where there is none."""
    for row in MODELS.values():
        ids = (row.hub_id, *row.aliases) if row.hub_id else row.aliases
        if source.lower() in (one.lower() for one in ids):
            return row
    return None
