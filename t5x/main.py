"""`python -m t5x.main --run_mode=... --gin_file=...`: all of T5X's programs by one command."""

from __future__ import annotations

from clinical_t5x.launch.command import main_of

if __name__ == "__main__":
    main_of("main")
