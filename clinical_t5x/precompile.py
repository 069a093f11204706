"""`python -m clinical_t5x.precompile --gin_file=...`: the same as `python -m t5x.precompile`."""

from __future__ import annotations

from clinical_t5x.launch.command import main_of

if __name__ == "__main__":
    main_of("precompile")
