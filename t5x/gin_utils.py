"""T5X's name for what writes a run's configuration down."""

from clinical_t5x.launch.gin_summary import summarize_gin_config

__all__ = ["summarize_gin_config"]
