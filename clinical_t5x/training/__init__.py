"""Training: state, step, loop, checkpoints, and the same state put to use for eval and infer."""
