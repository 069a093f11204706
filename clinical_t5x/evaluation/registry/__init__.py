"""The models that can stand on one table: who they are, where they are, what was published.

- row: what a row says
- paper_models, appendix_models, todays_models: the rows
- lookup: `MODELS`, and a row by its key or its Hugging Face id
"""

from clinical_t5x.evaluation.registry.lookup import MODELS, model_row, row_of_source
from clinical_t5x.evaluation.registry.row import ModelRow, TokenCounts

__all__ = ["MODELS", "ModelRow", "TokenCounts", "model_row", "row_of_source"]
