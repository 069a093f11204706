"""Writes the configuration that a run really used beside what the run made."""

from __future__ import annotations

import os
from typing import Any

from etils import epath

from clinical_t5x.storage import write_text_atomically


def summarize_gin_config(
    model_dir: str | os.PathLike, summary_writer: Any = None, step: int = 0
) -> None:
    """Write gin's operative configuration to MODEL_DIR/config.gin, once per directory.

    Args:
      model_dir: the run's directory.
      summary_writer: receives the same text under "gin_config" when it has `write_texts`.
      step: the step to file the text under.
    """
    import jax

    import gin

    if jax.process_index():
        return
    text = gin.operative_config_str()
    path = epath.Path(model_dir) / "config.gin"
    if not path.exists() or path.read_text() != text:
        write_text_atomically(path, text)
    if hasattr(summary_writer, "write_texts"):
        summary_writer.write_texts(step, {"gin_config": gin.markdown(text)})
