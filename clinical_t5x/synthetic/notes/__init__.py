"""One module for each kind of note: its grammar and how its sections are put together."""
