"""Evaluation of checkpoints: what a model gains from context, measured on the run's own held-out documents."""
