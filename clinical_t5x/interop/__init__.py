"""Names and layouts of other libraries' T5 checkpoints, as tables."""
