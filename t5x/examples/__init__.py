"""T5X's example models."""
