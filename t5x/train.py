"""`python -m t5x.train --gin_file=...`: T5X's command for training."""

from __future__ import annotations

from clinical_t5x.launch.command import main_of, serve_entry

__getattr__ = serve_entry("train")

if __name__ == "__main__":
    main_of("train")
