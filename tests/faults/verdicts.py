"""What every test of faults asserts at its end."""

from bench.chaos import Trial
from bench.ledger import Verdict

__all__ = ["exact"]


async def exact(trial: Trial, seconds: float = 60) -> Verdict:
    """Wait for everything, and assert that nothing is lost, doubled, different or ahead."""
    verdict = await trial.settled(seconds)
    said = "\n".join(worker.said for worker in trial.workers)
    assert verdict.good, f"{verdict}\n{said}"
    assert verdict.readings
    assert trial.ledger.samples, "committed offsets were never looked at"
    return verdict
