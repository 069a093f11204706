"""Vocabularies side by side on held-out documents: numbers, a terminal table, a page."""
