"""`python -m t5x.precompile --gin_file=...`: T5X's command for compiling before a run."""

from __future__ import annotations

from clinical_t5x.launch.command import main_of, serve_entry

__getattr__ = serve_entry("precompile")

if __name__ == "__main__":
    main_of("precompile")
