"""What a layer learns: nothing before its time, nobody held out, the same after a crash."""

from contextlib import nullcontext
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.cohort import held_out
from models.learner import (
    MOST_LEAVES,
    DueStays,
    LabelledStay,
    Learner,
    Rules,
    Snapshot,
    SnapshotError,
    require_room,
)
from models.registry import SHIPPED, ModelError, load_model
from models.risk import Tiers
from models.shadow import Shadow
from models.thresholds import Tally
from tests.unit.made_forests import HOUR_MS, made_champion, made_labelled, made_rows

pytestmark = pytest.mark.unit

RULES = Rules(block=5, negatives=0.5, window=3)


def learned(
    stays: list[LabelledStay], learner: Learner | None = None
) -> tuple[Learner, list[Snapshot]]:
    """Take stays as they fall due, and what came of it."""
    learner = learner or Learner(made_champion(), RULES)
    found = [learner.take(stay, stay.due_ms).snapshot for stay in stays]
    return learner, [snapshot for snapshot in found if snapshot is not None]


def unseen_by_nobody(count: int = 40) -> list[LabelledStay]:
    return [stay for stay in made_labelled(count) if not held_out(stay.patient_id)]


def test_every_block_makes_a_version_and_the_layer_learns() -> None:
    stays = made_labelled()
    learner, versions = learned(stays)
    mine = [stay for stay in stays if not held_out(stay.patient_id)]
    assert [version.layer for version in versions] == list(range(1, len(mine) // 5 + 1))
    last = versions[-1]
    assert last.learned == len(versions) * 5
    of_blocks = mine[: last.learned]
    assert last.positives == sum(int(stay.labels.sum()) for stay in of_blocks)
    negatives = sum(int((stay.labels == 0).sum()) for stay in of_blocks)
    assert 0.4 * negatives < last.labels - last.positives < 0.6 * negatives
    assert np.abs(last.values - learner.champion.forest.values).max() > 0.01


def test_progressive_predictions_are_made_before_the_stays_labels_are_learned() -> None:
    learner = Learner(made_champion(), RULES)
    model, last = learner.champion, None
    for stay in made_labelled():
        # labels of its own that are other ones would have changed nothing in them
        other = Learner(learner.champion, RULES, last)
        changed = other.take(replace(stay, labels=1 - stay.labels), stay.due_ms)
        taken = learner.take(stay, stay.due_ms)
        np.testing.assert_array_equal(taken.logits, model.score(stay.features).logit)
        np.testing.assert_array_equal(taken.logits, changed.logits)
        if taken.snapshot is not None:
            last = taken.snapshot
            model = last.model(learner.champion)


def test_the_labels_of_a_stay_are_refused_before_they_are_due() -> None:
    stay = unseen_by_nobody()[0]
    learner = Learner(made_champion(), Rules(block=1))
    with pytest.raises(ValueError, match="hold the stay back"):
        learner.take(stay, stay.due_ms - 1)
    assert (learner.taken, learner.learned) == (0, 0)
    np.testing.assert_array_equal(learner.layer.weights, learner.champion.forest.values)
    assert learner.take(stay, stay.due_ms).snapshot is not None


@settings(max_examples=50)
@given(
    st.permutations(range(12)),
    st.lists(st.integers(0, 60 * HOUR_MS), min_size=1, max_size=8),
)
def test_stays_come_out_when_they_are_due_in_one_order_whatever_order_they_came_in(
    arrival: list[int], clock: list[int]
) -> None:
    stays = made_labelled(12)
    waiting, out = DueStays(), []
    for index in arrival:
        waiting.add(stays[index])
    for now in sorted(clock):
        for stay in waiting.pop(now):
            assert stay.due_ms <= now
            out.append(stay)
        assert all(stay.due_ms > now for stay in stays if stay not in out)
    out += waiting.pop(10**18)
    wanted = sorted(stays, key=lambda stay: (stay.due_ms, stay.patient_id))
    assert out == wanted
    assert len(waiting) == 0


def test_no_held_out_patient_is_learned_or_tuned_on() -> None:
    stays = made_labelled()
    assert any(held_out(stay.patient_id) for stay in stays)
    spoiled = [
        replace(stay, labels=1 - stay.labels, features=stay.features[::-1].copy())
        if held_out(stay.patient_id)
        else stay
        for stay in stays
    ]
    _, versions = learned(stays)
    _, others = learned(spoiled)
    assert [version.encode() for version in versions] == [other.encode() for other in others]


@pytest.mark.parametrize("cut", range(6))
def test_a_learner_that_is_rebuilt_from_a_snapshot_goes_on_bit_for_bit(cut: int) -> None:
    stays = made_labelled()
    _, versions = learned(stays)
    assert len(versions) == 5
    if cut == 0:
        again = Learner(made_champion(), RULES)
    else:
        snapshot = Snapshot.decode(versions[cut - 1].encode())
        again = Learner(made_champion(), RULES, snapshot)
    _, rest = learned(stays[again.taken :], again)
    assert [version.encode() for version in rest] == [
        version.encode() for version in versions[cut:]
    ]


def test_a_learner_does_not_change_the_snapshot_it_was_rebuilt_from() -> None:
    stays = made_labelled()
    _, versions = learned(stays)
    before = versions[0].encode()
    learned(stays[versions[0].taken :], Learner(made_champion(), RULES, versions[0]))
    assert versions[0].encode() == before


def test_a_stay_without_a_reading_is_taken_and_teaches_nothing() -> None:
    stay = unseen_by_nobody()[0]
    empty = replace(stay, at_ms=stay.at_ms[:0], features=stay.features[:0], labels=stay.labels[:0])
    learner = Learner(made_champion(), RULES)
    assert len(learner.take(empty, empty.due_ms).logits) == 0
    assert (learner.taken, learner.learned, learner.tally.stays) == (1, 0, 0)


def test_another_block_number_shuffles_another_way_and_the_same_one_alike() -> None:
    stays = unseen_by_nobody()[:5]
    first = learned(stays)[1][0]
    assert learned(stays)[1][0].encode() == first.encode()
    later = replace(first, layer=7, weights=made_champion().forest.values.copy())
    later = replace(later, accumulators=np.full(len(later.weights), 10.0))
    other = learned(stays, Learner(made_champion(), RULES, later))[1][0]
    assert not np.array_equal(other.weights, first.weights)
    np.testing.assert_allclose(other.weights, first.weights, atol=0.05)


def test_a_stay_is_sampled_alike_whoever_shares_its_block() -> None:
    stays = unseen_by_nobody()
    alone = Learner(made_champion(), RULES)
    alone.take(stays[3], stays[3].due_ms)
    among = Learner(made_champion(), RULES)
    for stay in stays[:4]:
        among.take(stay, stay.due_ms)
    np.testing.assert_array_equal(alone._block.keys[0], among._block.keys[3])


def test_a_snapshot_is_open_only_between_blocks() -> None:
    learner = Learner(made_champion(), RULES)
    learner.snapshot()
    stay = unseen_by_nobody()[0]
    learner.take(stay, stay.due_ms)
    with pytest.raises(ValueError, match="open block"):
        learner.snapshot()


def test_the_model_of_a_snapshot_names_both_versions_and_scores_with_the_new_leaves() -> None:
    champion, (rows, _) = made_champion(), made_rows()
    last = learned(made_labelled())[1][-1]
    model = last.model(champion)
    assert model.version == f"1-abc+{last.layer}"
    assert (model.threshold, model.tiers) == (last.threshold, last.tiers)
    scores = model.score(rows)
    assert not np.array_equal(scores.logit, champion.score(rows).logit)
    np.testing.assert_allclose(
        model.forest.baseline + scores.contributions.sum(axis=1), scores.logit, atol=1e-12
    )


def test_a_layer_of_another_champion_is_refused() -> None:
    last = learned(made_labelled())[1][-1]
    with pytest.raises(SnapshotError, match="load that one"):
        last.model(replace(made_champion(), version="2-def"))
    with pytest.raises(SnapshotError, match="another model under the same version"):
        last.model(made_champion(9, 4))
    with pytest.raises(SnapshotError):
        Learner(replace(made_champion(), version="2-def"), RULES, last)


def test_a_snapshot_of_150_trees_of_15_leaves_fits_into_150_kilobytes() -> None:
    champion = made_champion(150, 15)
    assert len(champion.forest.roots) == 150
    assert len(Learner(champion).snapshot().encode()) <= 150 * 1000


@pytest.mark.parametrize("data", [b"", b"\x80", b"nonsense", b"\x81\xa6format\xa1x"])
def test_bytes_that_are_no_snapshot_are_refused(data: bytes) -> None:
    with pytest.raises(SnapshotError, match="not a snapshot"):
        Snapshot.decode(data)


@settings(max_examples=50)
@given(st.integers(0, 4_000))
def test_a_snapshot_that_is_cut_short_is_refused(length: int) -> None:
    whole = Learner(made_champion(), RULES).snapshot().encode()
    with pytest.raises(SnapshotError):
        Snapshot.decode(whole[: min(length, len(whole) - 1)])


def test_a_snapshot_of_another_format_is_refused() -> None:
    data = Learner(made_champion(), RULES).snapshot().encode()
    with pytest.raises(SnapshotError, match="vigil-layer/9"):
        Snapshot.decode(data.replace(b"vigil-layer/1", b"vigil-layer/9"))


def test_the_state_of_the_largest_champion_is_a_record_that_a_broker_takes() -> None:
    leaves = np.zeros(MOST_LEAVES)
    snapshot = Snapshot(
        "c" * 30, 1, 1, 1, 1, 1, 0.5, Tiers(0.1, 0.2, 0.3), leaves, leaves, leaves, Tally.empty()
    )
    shadows = 3 * len(Shadow("x" * 30, "c" * 30, 0).encode())
    stays = 500 * 150  # of names as long as they may be, and ends
    assert len(snapshot.encode()) + shadows + stays < 1_040_000
    champion: Any = load_model(SHIPPED["context"])
    for count, refused in ((MOST_LEAVES, False), (MOST_LEAVES + 1, True)):
        model = replace(champion, forest=replace(champion.forest, values=np.zeros(count)))
        with pytest.raises(ModelError, match=r"36,001 leaves") if refused else nullcontext():
            require_room(model)
