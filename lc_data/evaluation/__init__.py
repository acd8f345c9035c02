"""Evaluation of checkpoints: loss on held-out documents, and answers to suites of tasks with their scores."""
