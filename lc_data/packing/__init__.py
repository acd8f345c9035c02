"""Packing: documents into rows of exactly seq_len tokens, planned from lengths alone and filled at stream time.

`plan` (the contract) and `fill` (one row of arrays) need numpy and pyarrow only, so that a training node stays light;
`best_fit` and `planner` compile kernels with numba and are imported by the pack stage alone.
"""
