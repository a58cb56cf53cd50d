"""The agent of episodes on fake topics."""

import json
from collections.abc import Sequence
from typing import Any

import pytest
from faust.types import TP

from agents.watch import WatchAgent
from streams.alert_events import RaisedEvent
from streams.transport import Batch
from tables.episodes import Episodes
from tests.topology.driver import Bench, Event, FailedError, Table, record
from tests.unit.made_episodes import policy, recommendation

pytestmark = pytest.mark.topology

URGENT = -0.9


class Watch:
    """The agent beside the bedside's."""

    def __init__(self) -> None:
        self.bench = Bench()
        self.table = Table("episodes")
        self.begin()

    def begin(self) -> None:
        """A worker starts with what the table holds."""
        episodes = Episodes(self.table.load_all, policy(), capacity=100)
        self.agent = WatchAgent(self.bench.app, self.bench.topics, episodes, self.table)

    async def takes(self, *values: bytes | None, offset: int = 0, **more: Any) -> Event:
        """Give it a batch."""
        topic = self.bench.topics.recommendations.name
        batch = [record(topic, offset + i, value, **more) for i, value in enumerate(values)]
        (event,) = await self.bench.feed(self.agent, batch)
        return event

    @property
    def told(self) -> Sequence[Any]:
        """Events on `alerts.raised`, in order."""
        sent = self.bench.sent(self.bench.topics.alerts_raised)
        assert all(each["partition"] == 0 for each in sent)
        return [RaisedEvent.model_validate_json(each["value"]).root for each in sent]

    @property
    def kinds(self) -> list[str]:
        """What they are."""
        return [event.type for event in self.told]


@pytest.fixture
def watch() -> Watch:
    return Watch()


async def test_an_alert_is_raised_after_its_census_and_the_batch_acknowledged(
    watch: Watch,
) -> None:
    event = await watch.takes(recommendation(0), recommendation(1, URGENT))
    assert watch.kinds == ["census", "raised"]
    census, alert = watch.told
    assert (census.patient_hours, alert.tier, event.acked) == (2.0, "urgent", True)


async def test_alerts_of_every_partition_go_to_the_one_of_the_pager(watch: Watch) -> None:
    await watch.takes(recommendation(0, URGENT, patient="a"), partition=0)
    await watch.takes(recommendation(0, URGENT, patient="b"), partition=1)
    assert watch.kinds == ["census", "raised"] * 2
    assert [event.partition for event in watch.told if event.type == "census"] == [0, 1]


async def test_a_batch_is_acknowledged_only_when_the_broker_has_its_alerts(watch: Watch) -> None:
    watch.bench.producer.waits = True
    event = await watch.takes(recommendation(0, URGENT))
    assert not event.acked
    watch.bench.producer.deliver()
    await watch.bench.settle()
    assert event.acked


async def test_an_alert_that_was_lost_with_the_worker_is_told_again_to_the_byte(
    watch: Watch,
) -> None:
    watch.bench.producer.waits = True
    await watch.takes(recommendation(0, URGENT), recommendation(1))
    lost = [dict(each) for each in watch.bench.sent(watch.bench.topics.alerts_raised)]
    watch.bench.producer.sent.clear()
    watch.bench.producer.waits = False

    watch.begin()  # the local copy has seen both
    await watch.takes(recommendation(0, URGENT), recommendation(1), recommendation(2))
    again = watch.bench.sent(watch.bench.topics.alerts_raised)
    assert (lost[1]["key"], lost[1]["value"]) == (again[1]["key"], again[1]["value"])
    assert watch.kinds.count("raised") == 1


async def test_an_alert_that_was_committed_is_not_told_again_after_a_restart(watch: Watch) -> None:
    await watch.takes(recommendation(0, URGENT))
    watch.begin()
    await watch.takes(recommendation(1, URGENT), offset=1)
    assert watch.kinds.count("raised") == 1


async def test_after_a_rebalance_what_another_worker_stored_counts(watch: Watch) -> None:
    await watch.takes(recommendation(0))
    other = Watch()
    other.table.rows = watch.table.rows
    await other.takes(recommendation(1, URGENT), offset=1)
    watch.bench.consumer.assignment_number += 1
    await watch.takes(recommendation(2, URGENT), offset=2)
    assert "raised" not in watch.kinds


async def test_a_batch_of_a_revoked_partition_is_left_to_its_next_owner(watch: Watch) -> None:
    topic = watch.bench.topics.recommendations.name
    batch = Batch(TP(topic, 0), [record(topic, 0, recommendation(0, URGENT))], stale=True)
    (event,) = await watch.bench.feed(watch.agent, batch)
    assert not event.acked
    assert not watch.told
    assert not watch.table.rows


@pytest.mark.parametrize(
    "value", [None, b"{", b"[]", recommendation(0, patient="Miller", tier="?")]
)
async def test_what_is_no_recommendation_is_a_dead_letter_and_its_neighbours_are_not(
    watch: Watch, value: bytes | None
) -> None:
    event = await watch.takes(value, recommendation(0, URGENT))
    (letter,) = watch.bench.sent(watch.bench.topics.dead_letters)
    told = json.loads(letter["value"])
    assert told["topic"] == watch.bench.topics.recommendations.name
    assert told["reason"]
    assert "Miller" not in told["reason"]
    assert watch.kinds == ["census", "raised"]
    assert event.acked


async def test_states_and_watched_time_are_written_in_the_order_that_a_cut_needs(
    watch: Watch,
) -> None:
    await watch.takes(recommendation(0, patient="a"), recommendation(0, patient="b"))
    written = [each["key"] for each in watch.bench.producer.sent["episodes-changelog"]]
    assert written == [b"uicu", b"pa", b"pb"]


async def test_another_number_of_partitions_stops_the_worker_with_what_to_do(
    watch: Watch,
) -> None:
    watch.bench.app.sizes[watch.bench.topics.recommendations.name] = 3
    with pytest.raises(FailedError):
        await watch.takes(recommendation(0))
    assert "VIGIL_TOPIC_RECOMMENDATIONS" in str(watch.bench.failed)


async def test_a_state_that_cannot_be_read_stops_the_worker(watch: Watch) -> None:
    watch.table.rows[0, b"pa"] = b"\x09"
    with pytest.raises(FailedError):
        await watch.takes(recommendation(0))
    assert not watch.told
