"""`python -m clinical_t5x VERB ...` is `clinical-t5x VERB ...`."""

from clinical_t5x.cli import main

main()
