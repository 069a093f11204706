"""T5 under T5X's path."""
