"""Where work runs: one way to run a stage, on one process or on Ray. The only room that imports ray."""
