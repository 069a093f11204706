"""`python -m clinical_t5x.export --gin_file=...`: the same command as `python -m t5x.export`."""

from __future__ import annotations

from clinical_t5x.launch.command import main_of

if __name__ == "__main__":
    main_of("export")
