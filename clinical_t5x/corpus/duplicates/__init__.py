"""Rules that find notes which repeat others; one module per rule.

Every rule is a function from a table of notes (no texts: ids, times, hashes) to the `row` numbers
of those to drop.
"""
