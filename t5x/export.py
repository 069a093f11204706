"""`python -m t5x.export --gin_file=...`: T5X's command for exporting a checkpoint."""

from __future__ import annotations

from clinical_t5x.launch.command import main_of, serve_entry

__getattr__ = serve_entry("export")

if __name__ == "__main__":
    main_of("export")
