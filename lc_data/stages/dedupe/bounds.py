"""How much one task holds at a time. All work is cut by these, so that no task grows with the corpus."""

PARTITION_KEYS = 1 << 22
"""Keys in one join, at 12 bytes each, and 12 more while they are grouped."""
MAX_PAIRS = 1 << 22
"""Pairs that a task holds at a time: 34 MB while they are sorted, and 50 MB when they have been counted."""
VERIFY_BYTES = 64 << 20
"""Text that one verifying task holds, with its shingles, at about 3 times its size; of a larger pair at 2 times."""
SHARED_BYTES = 16 << 20
"""Text worth a verifying task of its own: four share what is there as soon as each has so much. Not less, since each
of them opens most of the batches in which the documents lie."""
RANGE_DOCUMENTS = 1 << 20
"""Documents of which one task decides who goes: 16 bytes for each verified pair, and the rows of those that go."""
