"""A Ray cluster of three nodes in this process, of which one is lost in mid-stage."""

from __future__ import annotations

import threading
import time

import pytest

from lc_data.corpus import storage
from lc_data.corpus.run import RunFolder
from lc_data.engine.backend import SerialBackend
from lc_data.engine.stage import bring_up_to_date
from lc_data.recipe.engine import EngineSection
from lc_data.recipe.load import parse_recipe
from tests.engine.toy import RECIPE, toy_stage

LETTERS = "abcdefghijklmnopqrstuvwx"


@pytest.fixture
def cluster():
    pytest.importorskip("ray")
    from ray.cluster_utils import Cluster

    arguments = {"num_cpus": 1, "object_store_memory": 80 << 20, "include_dashboard": False}
    made = Cluster(initialize_head=True, head_node_args=arguments)
    made.extra = [made.add_node(num_cpus=1, object_store_memory=80 << 20) for _ in range(2)]
    yield made
    made.shutdown()


def test_a_node_that_is_lost_in_mid_stage_changes_no_byte(cluster, tmp_path):
    from lc_data.engine.ray_backend import open_ray

    reference = RunFolder(str(tmp_path / "serial"))
    recipe = parse_recipe(RECIPE)
    bring_up_to_date(toy_stage(tmp_path / "log", letters=LETTERS), recipe, reference, SerialBackend())

    run = RunFolder(str(tmp_path / "cluster"))
    log = tmp_path / "cluster.log"
    lost = []

    def lose_a_node() -> None:
        while not (log.exists() and len(log.read_text()) >= 6):
            time.sleep(0.02)
        cluster.remove_node(cluster.extra[0], allow_graceful=False)
        lost.append(len(log.read_text()))

    thread = threading.Thread(target=lose_a_node)
    thread.start()
    with open_ray(EngineSection(address=cluster.address)) as backend:
        bring_up_to_date(toy_stage(log, letters=LETTERS, seconds=0.3), recipe, run, backend)
    thread.join()
    assert lost[0] < len(LETTERS), "the node was lost too late to matter"
    manifests = [storage.read_bytes(folder.stage("ingest").manifest_uri) for folder in (run, reference)]
    assert manifests[0] == manifests[1]
