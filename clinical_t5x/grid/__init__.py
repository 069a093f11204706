"""Models x tasks x fractions of the training data x seeds, as runs that share one results store.

description   what is asked for: a file, flags, presets; checked
recipes       how a task is trained and scored: the presets' numbers
cells         one run of the grid: its name, its place, what its result depends on
contents      what data, gin files and checkpoints contain, as short hashes
records       what a run's directory says: begun from what, failed why, done with what outcome
gin_files     the gin files of a run, which a person can also run by hand
data          tasks and lengths of a run, out of the data home
running       one run: train with every rate, choose on validation, score the test split once
sharing       which run is next, when several processes or machines work on one grid
overview      what a person sees: the table of runs and their states
estimate      how long it may take before any run is done
drawing       the low-resource curve of the runs that are done
"""
