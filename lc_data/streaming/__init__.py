"""The stream: packed rows as a torch IterableDataset, on machines that have neither planner nor Ray."""
