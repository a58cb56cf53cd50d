"""How many threads a worker leaves to numpy."""

import os
import subprocess
import sys

import pytest

pytestmark = pytest.mark.unit

# a process of its own: the limit is the whole process's
COUNTS = """
import numpy, threadpoolctl
from streams.commands.worker import limit_threads
limit_threads()
print({pool["num_threads"] for pool in threadpoolctl.threadpool_info()})
"""


@pytest.mark.parametrize(
    ("told", "threads"),
    [({}, 1), ({"OMP_NUM_THREADS": "2"}, min(2, os.cpu_count() or 1))],
    ids=["nothing said", "two"],
)
def test_numpy_has_one_thread_in_a_worker_unless_its_operator_says_otherwise(
    told: dict[str, str], threads: int
) -> None:
    pools = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
    env = {name: value for name, value in os.environ.items() if name not in pools} | told
    counted = subprocess.run(
        [sys.executable, "-c", COUNTS], env=env, capture_output=True, text=True, check=False
    )
    assert counted.stdout.strip() == str({threads}), counted.stderr
