"""Tiny random models in the real formats of the registry's rows, made in seconds.

What the synthetic PhysioNet is for the data: everything can be tried before anything is downloaded.
A tiny model has the architecture, tokenizer class and files of its row, a vocabulary learnt from
synthetic notes, and random weights; it knows nothing.

- making: `make_tiny`
- networks: configurations by family
- tokenizers: the vocabulary files by family
- notes: synthetic notes to learn a vocabulary from
"""

from clinical_t5x.baselines.tiny.making import TinyModel, family_of, make_tiny
from clinical_t5x.baselines.tiny.notes import notes_of, vocabulary_of

__all__ = ["TinyModel", "family_of", "make_tiny", "notes_of", "vocabulary_of"]
