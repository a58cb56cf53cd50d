"""``vigil bench faults``: at random moments something fails; nothing may be lost or different.

Three brokers keep three copies of everything. Some workers reach them through a proxy each, some
directly: the network fails for some and not for others. Simulated patients are admitted all the
time. The same checks as in ``tests/faults``, over minutes.
"""

import asyncio
import logging
import random
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import ClassVar

import click

from bench.chaos import Proxies, Trial, quick
from bench.common import evidence, json_option, progress, report
from bench.ledger import Verdict
from bench.processes import Worker
from bench.proxy import Proxy
from config.settings import Settings
from models.simulator import simulate
from streams.kafka import LocalKafka

__all__ = ["FAILED", "Faults", "command"]

FAILED = 1

log = logging.getLogger(__name__)

_PATIENTS = 160
#: Readings a second: what brokers, workers and checks leave of two cores is little.
_RATE = 150
_MOST_WORKERS = 3
#: Seconds from the beginning of one fault to that of the next, at random within.
_PAUSE_S = (0.5, 6.0)
#: How long a fault may last, longer than a session at times.
_LONGEST_S = 9.0
#: How long some workers are cut off while others go on: longer than a session.
_SPLIT_S = (7.0, 12.0)
#: For what is still to come once all is repaired.
_LAST_S = 180
_EXAMPLES = 10


class Faults:
    """Does one fault after the other, and counts them.

    Args:
        trial: what they are done to.
        kafka: three nodes.
        proxies: in front of them.
        seed: of what is done when.

    Attributes:
        done: faults by their name.
    """

    #: Fault → how often it is chosen.
    WEIGHTS: ClassVar[dict[str, int]] = {
        "worker_kill": 10, "worker_stop": 1, "worker_pause": 1, "state_lost": 1,
        "worker_joins": 1, "worker_leaves": 1, "broker_kill": 1, "broker_restart": 1,
        "network_cut": 1, "network_frozen": 1, "network_slow": 1, "network_split": 2,
    }  # fmt: skip

    def __init__(self, trial: Trial, kafka: LocalKafka, proxies: Proxies, seed: int) -> None:
        self._trial, self._kafka, self._proxies = trial, kafka, proxies
        self._random = random.Random(seed)
        self._under_way: dict[str, asyncio.Task[None]] = {}
        self.done: Counter[str] = Counter()

    async def run(self, seconds: float) -> None:
        """Let things fail for so long; when it returns, all is repaired."""
        names, weights = list(self.WEIGHTS), list(self.WEIGHTS.values())
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            await asyncio.sleep(self._random.uniform(*_PAUSE_S))
            for ended in self._trial.revive():
                log.warning("a worker ended by itself: %s", ended.said)
            (name,) = self._random.choices(names, weights)
            await self._begin(name)
        await asyncio.gather(*self._under_way.values())
        await self._proxies.heal()
        self._trial.revive()

    async def _begin(self, name: str) -> None:
        """Start a fault that takes its time beside others, but for those of the same thing."""
        kind = name.partition("_")[0]
        before = self._under_way.get(kind)
        if before is not None and not before.done():
            if kind != "worker":
                return
            await before
        if before is not None:
            before.result()
        fault: Callable[[], Awaitable[bool]] = getattr(self, f"_{name}")

        async def do() -> None:
            if await fault():
                self.done[name] += 1

        self._under_way[kind] = asyncio.create_task(do())

    def _a_worker(self) -> Worker:
        return self._random.choice(self._trial.workers)

    async def _for_a_while(self) -> None:
        await asyncio.sleep(self._random.uniform(0, _LONGEST_S))

    # -- workers

    async def _worker_kill(self) -> bool:
        worker = self._a_worker()
        worker.kill()
        worker.start()
        return True

    async def _worker_stop(self) -> bool:
        worker = self._a_worker()
        await worker.stop()
        worker.start()
        return True

    async def _worker_pause(self) -> bool:
        worker = self._a_worker()
        if not worker.alive:
            return False
        worker.pause()
        await self._for_a_while()
        worker.resume()
        return True

    async def _state_lost(self) -> bool:
        worker = self._a_worker()
        worker.kill()
        self._trial.lose_state(worker)
        worker.start()
        return True

    async def _worker_joins(self) -> bool:
        if len(self._trial.workers) >= _MOST_WORKERS:
            return False
        way = self._random.choice([self._proxies.bootstrap, self._kafka.bootstrap])
        self._trial.join(broker=way)
        return True

    async def _worker_leaves(self) -> bool:
        if len(self._trial.workers) <= 1:
            return False
        await self._trial.leave(self._a_worker())
        return True

    # -- one of the brokers

    async def _broker_kill(self) -> bool:
        return await self._broker_away(self._kafka.kill)

    async def _broker_restart(self) -> bool:
        return await self._broker_away(self._kafka.stop_node)

    async def _broker_away(self, end: Callable[[int], None]) -> bool:
        node = self._random.choice(list(self._kafka.nodes))
        await asyncio.to_thread(end, node)
        await self._for_a_while()
        await asyncio.to_thread(self._kafka.start_node, node)
        return True

    # -- the network between workers and brokers: one of the brokers or all of them

    async def _network_cut(self) -> bool:
        for proxy in self._some_proxies():
            await proxy.cut()
        return await self._network_heals()

    async def _network_frozen(self) -> bool:
        for proxy in self._some_proxies():
            proxy.freeze()
        return await self._network_heals()

    async def _network_slow(self) -> bool:
        for proxy in self._some_proxies():
            proxy.delay_s = self._random.uniform(0.02, 0.4)
        return await self._network_heals()

    async def _network_split(self) -> bool:
        """Cut those off that come through the proxies, while those that do not go on."""
        ways = {worker.settings.broker for worker in self._trial.workers}
        if self._proxies.bootstrap not in ways or len(ways) == 1:
            return False
        if self._random.random() < 0.5:
            await self._proxies.cut()
        else:
            self._proxies.freeze()
        await asyncio.sleep(self._random.uniform(*_SPLIT_S))
        await self._proxies.heal()
        return True

    def _some_proxies(self) -> list[Proxy]:
        proxies = list(self._proxies.nodes.values())
        return self._random.sample(proxies, self._random.choice([1, len(proxies)]))

    async def _network_heals(self) -> bool:
        await self._for_a_while()
        await self._proxies.heal()
        return True


async def _run(
    minutes: float, seed: int, unkeyed: bool, folder: Path, kafka: LocalKafka
) -> tuple[Verdict, Counter[str], list[int]]:
    settings = quick(kafka.bootstrap, "faults.", replication=3)
    async with (
        Proxies(kafka) as proxies,
        Trial(settings, folder, proxies.bootstrap) as trial,
    ):
        faults = Faults(trial, kafka, proxies, seed)
        stays = list(simulate(_PATIENTS, seed=seed))
        trial.join()
        trial.join(broker=kafka.bootstrap)
        trial.keep_admitting(stays, _RATE, unkeyed_share=2 if unkeyed else 0)
        await trial.recommended(1, seconds=120)
        with progress(unit=False) as bar:
            task = bar.add_task("Faults", total=None)
            await faults.run(minutes * 60)
            bar.update(task, description="Settling")
            verdict = await trial.settled(_LAST_S)
        return verdict, faults.done, trial.exits


@click.command(epilog="Example: vigil bench faults --minutes 10 --seed 7 --json")
@click.option("--minutes", type=click.FloatRange(min=0.1), default=10, show_default=True)
@click.option("--seed", type=int, default=0, show_default=True, help="Of what fails when.")
@click.option("--unkeyed", is_flag=True, help="Send every other group of patients without keys.")
@json_option
def command(minutes: float, seed: int, unkeyed: bool, as_json: bool) -> int:
    """Let workers, brokers and network fail at random; check that nothing is lost or different.

    Exit code 1 when a reading has no recommendation, has several (repeats of an id left aside), or
    one with a probability that a run without faults does not give; or when a committed offset went
    back or past a reading that was not done. Then logs and state are kept.
    """
    # what a client says while its broker is away is no news here
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    with evidence("faults") as kept:
        with LocalKafka(
            kept.folder / "broker", Settings().cache, 3, proxied=True, heap="256m"
        ) as kafka:
            verdict, done, exits = asyncio.run(_run(minutes, seed, unkeyed, kept.folder, kafka))
        kept.good = verdict.good
    _report(minutes, seed, verdict, done, exits, as_json)
    return 0 if kept.good else FAILED


def _report(
    minutes: float,
    seed: int,
    verdict: Verdict,
    done: Counter[str],
    exits: list[int],
    as_json: bool,
) -> None:
    found = {
        "readings": verdict.readings,
        "repeats": verdict.repeats,
        "lost": verdict.lost,
        "doubled": verdict.doubled,
        "different": verdict.different,
        "offsets_back": verdict.offsets_back,
        "offsets_ahead": verdict.offsets_ahead,
    }
    rows = [[name.replace("_", " "), f"{done[name]:,}"] for name in Faults.WEIGHTS]
    rows += [["a worker ended by itself", f"{len(exits):,}"]]
    rows += [[name.replace("_", " "), f"{count:,}"] for name, count in found.items()]
    kills = done["worker_kill"] + done["state_lost"]
    report(
        f"Faults in {minutes:g} minutes, seed {seed}",
        ["what", "how often"],
        rows,
        note="\n".join(verdict.examples[:_EXAMPLES]),
        result={"kills": kills, "faults": dict(done), "exits": exits} | found if as_json else None,
    )
