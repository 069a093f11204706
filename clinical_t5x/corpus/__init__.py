"""Notes become documents: readers, cleaning, de-duplication, leakage removal, splits.

The way of a note: `sources` says where files lie and what their columns mean, `readers` and
`csv_blocks` read them in bounded memory, `staging` cleans and tags every note once, `selection`
decides on their metadata alone which ones stay, `writing` writes the documents, `leakage` measures
what the finished corpus shares with the benchmarks. `pipeline` is the list of these calls. What is
done to every byte of every note (`csv_scan`, `rewriting`, `kernels`, `hash_tables`) is compiled by
numba.

Nothing here imports jax or tensorflow.
"""

from clinical_t5x.corpus import memory

memory.keep_little()  # before any module here imports polars
