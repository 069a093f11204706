"""Notes become documents: readers, cleaning, de-duplication, leakage removal, splits.

The way of a note: `sources` says where files lie and what their columns mean, `csv_blocks` and
`note_files` read them in bounded memory, `staging` cleans and tags every note once, `selection`
decides on their metadata alone which ones stay, `writing` writes the documents, `leakage` measures
what the finished corpus shares with the benchmarks. `pipeline` is the list of these calls.

Nothing here imports jax or tensorflow.
"""

from clinical_t5x.corpus import memory

memory.keep_little()  # before any module here imports polars
