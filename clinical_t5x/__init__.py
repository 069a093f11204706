"""Clinical T5 models in JAX: from a PhysioNet download to scored models.

One word, one meaning, everywhere in this package:

- note: one row of NOTEEVENTS or of MIMIC-IV-Note's discharge or radiology table
- document: a cleaned note
- record: one raw item of a benchmark
- example: what the model sees
- step: one optimizer update
- axis: of a mesh; dim: of a tensor
- split: train, validation or test; fold: a part in cross-validation
- tokens: always said to be with or without padding
- patient: a SUBJECT_ID
- premise group, note group: the unit that statistics resample
"""

__version__ = "0.1.0"
