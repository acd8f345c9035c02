"""Settings of the whole suite: no deadlines (machines are shared), one thread per kernel."""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

from hypothesis import HealthCheck, settings

settings.register_profile("lc_data", deadline=None, max_examples=50, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("lc_data")
