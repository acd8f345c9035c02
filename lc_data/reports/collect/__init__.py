"""Collecting: from what a run has on disk to the numbers of its report."""
