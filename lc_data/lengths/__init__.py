"""Honest lengths: text to tokens, never truncated, and documents into length buckets. Pure: no disk, no Ray."""
