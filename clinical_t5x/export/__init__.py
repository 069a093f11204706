"""A checkpoint as a program of its own: StableHLO, parameters, vocabulary, and how to load them."""
