"""Settings of the whole suite: no deadlines (machines are shared), one thread per kernel.

The same examples are drawn on every machine, so that a failure is somebody's change and never the dice;
`pytest --hypothesis-profile=search` draws new ones, and more of them.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

from hypothesis import HealthCheck, settings

PATIENT = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("lc_data", PATIENT, max_examples=50, derandomize=True)
settings.register_profile("search", PATIENT, max_examples=500, derandomize=False)
settings.load_profile("lc_data")
