"""The flow: each stage wires pure algorithms to storage and to the engine, and does nothing else."""
