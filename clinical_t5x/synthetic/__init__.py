"""A synthetic PhysioNet: the real files' names, columns, types and quirks, without a real word.

    python -m clinical_t5x.synthetic --out DIR --patients N --seed S

The way of a patient through the package: `plan` (which notes) -> `patient` (state) -> `notes/*`
and `lexicon/*` (text) -> `iii`, `iv` (rows) -> `block` (a run of patients) -> `build` (files).
`facts` with `mednli`, `notes/radiology` with `radqa`, and `notes/discharge` with `clip` make the benchmarks.
"""
