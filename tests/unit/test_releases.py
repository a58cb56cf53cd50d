"""Which model scores, whatever comes over the topic and in whatever order."""

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.registry import SHIPPED, ModelError, load_model, read_folder
from models.release_records import (
    HISTORY,
    AnyRecord,
    LayerRecord,
    ModelPointer,
    ModelRecord,
    ShadowRecord,
    key_of,
)
from models.releases import Releases
from models.risk import ForestModel, RiskModel, Tiers

pytestmark = pytest.mark.unit

AT = datetime(2026, 1, 1, tzinfo=UTC)
AUDIT: Any = {"who": "a physician", "why": "a test", "at": AT}
BASE = load_model(SHIPPED["context"])
assert isinstance(BASE, ForestModel)
LEAVES = BASE.forest.values
FILES = read_folder(SHIPPED["context"])


def load(files: Mapping[str, bytes]) -> RiskModel:
    """As the registry does, without the half second that it takes."""
    if files == {"broken": b""}:
        raise ModelError("the model cannot be used: broken")
    return BASE


def champion(version: str, **changed: Any) -> ModelRecord:
    fields: dict[str, Any] = {
        "kind": "champion", "site": "icu", "version": version, "created_at": AT, "who": "a",
        "why": "b", "files": {"model.txt": b"x"},
    }  # fmt: skip
    return ModelRecord.of(**fields | changed)


def layer(version: str, of: str = "c1", values: Any = LEAVES, **changed: Any) -> LayerRecord:
    fields: dict[str, Any] = {
        "site": "icu", "version": version, "champion": of, "created_at": AT,
        "threshold": 0.03, "stays": 50, "examples": 900, "offset": 1000,
    }  # fmt: skip
    return LayerRecord.of(values, tiers=Tiers(0.03, 0.05, 0.1), **fields | changed)


def pointer(to: str, serial: int = 1, **changed: Any) -> ModelPointer:
    return ModelPointer(
        **{"site": "icu", "serial": serial, "champion": to, "action": "promote"} | AUDIT | changed
    )


def reading(*records: AnyRecord | tuple[bytes, bytes | None]) -> Releases:
    """A reader that has taken in records at offsets 0, 1, …"""
    releases = Releases("icu", load)
    for record in records:
        publish(releases, record)
    return releases


def publish(releases: Releases, record: AnyRecord | tuple[bytes, bytes | None]) -> None:
    at = getattr(publish, "next", 0)
    publish.next = at + 1  # type: ignore[attr-defined]
    if isinstance(record, tuple):
        key, value = record
        releases.take(key, value, at)
    else:
        releases.take(key_of(record), record.model_dump_json().encode(), at)


def version(releases: Releases) -> str | None:
    model = releases.active()
    return None if model is None else model.version


# -- what scores


def test_nothing_scores_before_there_is_a_pointer() -> None:
    assert version(reading()) is None
    assert version(reading(champion("c1"), layer("l1"))) is None


def test_a_champion_scores_once_the_pointer_says_so() -> None:
    assert version(reading(champion("c1"), champion("c2"), pointer("c1"))) == "c1"


def test_a_champion_comes_over_the_topic_whole() -> None:
    record = champion("c1", files=FILES)
    releases = Releases("icu")
    releases.take(key_of(record), record.model_dump_json().encode(), 0)
    releases.take(b"icu", pointer("c1").model_dump_json().encode(), 1)
    model = releases.active()
    assert model is not None
    assert replace(model, version=BASE.version).fingerprint() == BASE.fingerprint()


def test_the_newest_layer_follows_with_its_threshold_and_tiers() -> None:
    values = LEAVES + 0.25
    releases = reading(
        champion("c1"), layer("l1"), pointer("c1"), layer("l2", values=values, threshold=0.5)
    )
    model = releases.active()
    assert isinstance(model, ForestModel)
    assert (model.version, model.threshold, model.tiers.urgent) == ("c1+l2", 0.5, 0.1)
    np.testing.assert_array_equal(model.forest.values, values)
    assert releases.active() is model


def test_a_pointer_that_does_not_follow_stays_where_it_is() -> None:
    releases = reading(champion("c1"), layer("l1"), pointer("c1", follow=False), layer("l2"))
    assert version(releases) == "c1"
    publish(releases, pointer("c1", 2, layer="l1", follow=False))
    publish(releases, layer("l3"))
    assert version(releases) == "c1+l1"


def test_a_layer_of_another_champion_does_not_follow() -> None:
    releases = reading(champion("c1"), champion("c2"), layer("l1"), pointer("c2"))
    assert version(releases) == "c2"
    assert not releases.problems


def test_records_of_other_sites_are_passed_over() -> None:
    releases = reading(
        champion("c1"), pointer("c1"), champion("c1", site="icu2"), pointer("c9", site="icu2"),
        (b"icu2", b"junk"), (b"", b"junk"),
    )  # fmt: skip
    assert version(releases) == "c1"
    assert not releases.problems
    assert not releases.take(None, b"junk", 99)


# -- what is never applied


GOOD = (champion("c1"), layer("l1"), pointer("c1"))


@pytest.mark.parametrize(
    ("record", "says"),
    [
        ((b"icu", b"{"), "JSON"),
        ((b"icu", b'{"kind":"pointer","site":"icu"}'), "serial"),
        ((b"icu", pointer("c1", site="er").model_dump_json().encode()), "says it is er"),
        (pointer("c2", 2), "no champion 'c2'"),
        (pointer("c1", 2, layer="l9"), "no layer c1+l9"),
        ((b"icu/layer/c1+l2", layer("l3").model_dump_json().encode()), "says it is"),
        ((b"icu/layer/c1+l2", b"\xff"), ""),
        ((b"icu/champion/c1", b"{}"), "kind"),
        (layer("l2", values=LEAVES[:-1]), "does not fit"),
        (layer("l2").model_copy(update={"sha256": layer("l2", values=-LEAVES).sha256}), "sha256"),
        (layer("l2").model_copy(update={"values": "%"}), "base64"),
        ((b"icu/nonsense/x", pointer("c1").model_dump_json().encode()), "says it is"),
    ],
)
def test_what_is_damaged_is_reported_and_the_one_before_stays(
    record: AnyRecord | tuple[bytes, bytes | None], says: str
) -> None:
    releases = reading(*GOOD)
    before = releases.active()
    publish(releases, record)
    assert releases.active() is before
    (problem,) = releases.problems
    assert says in problem.what
    assert releases.active() is before
    assert len(releases.problems) == 1


def test_a_layer_with_a_value_that_is_not_finite_is_reported() -> None:
    values = LEAVES.copy()
    values[0] = np.nan
    releases = reading(*GOOD, layer("l2", values=values))
    assert version(releases) == "c1+l1"
    assert "not finite" in releases.problems[0].what


def test_a_layer_of_another_champion_is_not_pinned() -> None:
    releases = reading(
        *GOOD, champion("c2"), layer("l2", of="c2"), pointer("c1", 2, layer="l2", follow=False)
    )
    assert version(releases) == "c1+l1"
    assert "no layer c1+l2" in releases.problems[0].what


def test_a_champion_that_does_not_load_leaves_the_one_before() -> None:
    releases = reading(*GOOD, champion("c2", files={"broken": b""}), pointer("c2", 2))
    assert version(releases) == "c1+l1"
    assert "broken" in releases.problems[0].what


def test_after_compaction_a_pointer_to_nothing_falls_back_on_its_own_history() -> None:
    bad = pointer("c9", 2, history=[pointer("c1").as_move()])
    assert version(reading(champion("c1"), bad)) == "c1"


def test_a_champion_that_comes_late_is_applied_when_it_is_there() -> None:
    releases = reading(*GOOD, pointer("c2", 2))
    assert version(releases) == "c1+l1"
    publish(releases, champion("c2"))
    assert version(releases) == "c2"


def test_a_version_that_is_published_with_other_content_is_reported() -> None:
    releases = reading(*GOOD, layer("l1", values=LEAVES * 2))
    assert "other content" in releases.problems[0].what
    assert version(releases) == "c1+l1"


def test_tombstones_take_away() -> None:
    releases = reading(*GOOD, layer("l2"), (b"icu/layer/c1+l2", None))
    assert version(releases) == "c1+l1"
    publish(releases, (b"icu", None))
    assert version(releases) is None


RECORDS = (
    champion("c1"), layer("l1"), pointer("c1"), layer("l2"), (b"icu/layer/c1+l3", b"junk"),
    champion("c2"), pointer("c2", 2), layer("l4", of="c2"), (b"icu/layer/c2+l4", None),
    pointer("c9", 3), layer("l5", of="c2", values=LEAVES[:3]), (b"icu", b"junk"),
)  # fmt: skip


@given(st.permutations(range(len(RECORDS))), st.integers(0, len(RECORDS)))
def test_records_in_any_order_and_again_give_the_same(order: list[int], again: int) -> None:
    releases = Releases("icu", load)
    for offset in order + order[:again]:
        record = RECORDS[offset]
        if isinstance(record, tuple):
            key, value = record
            releases.take(key, value, offset)
        else:
            releases.take(key_of(record), record.model_dump_json().encode(), offset)
    assert version(releases) == "c2"
    assert list(releases.layers) == ["c1+l1", "c1+l2", "c2+l5"]
    assert releases.pointer == RECORDS[9]


# -- who moves it


def test_every_pointer_says_who_why_when_and_from_where() -> None:
    releases = reading(champion("c1"), champion("c2"))
    publish(releases, releases.start("c1", **AUDIT))
    publish(releases, layer("l1"))
    evidence = {"utility": 0.4}
    moved = releases.promote("c2", **AUDIT, forced=True, evidence=evidence)
    assert (moved.serial, moved.from_champion, moved.from_layer) == (2, "c1", "l1")
    assert (moved.who, moved.why, moved.at) == ("a physician", "a test", AT)
    assert (moved.forced, moved.evidence, moved.action) == (True, evidence, "promote")
    assert [move.champion for move in moved.history] == ["c1"]


def test_a_site_is_started_once() -> None:
    releases = reading(*GOOD)
    with pytest.raises(ModelError, match="has a pointer"):
        releases.start("c1", **AUDIT)


def test_rollback_goes_back_and_further_back_and_never_forth() -> None:
    releases = reading(champion("c1"), champion("c2"), champion("c3"))
    publish(releases, releases.start("c1", **AUDIT))
    for one in ("c2", "c3"):
        publish(releases, releases.promote(one, **AUDIT))
    publish(releases, releases.roll_back(**AUDIT))
    assert version(releases) == "c2"
    publish(releases, releases.roll_back(**AUDIT))
    assert version(releases) == "c1"
    with pytest.raises(ModelError, match="nothing is known from before"):
        releases.roll_back(**AUDIT)
    publish(releases, releases.promote("c3", **AUDIT))
    publish(releases, releases.roll_back(**AUDIT))
    assert version(releases) == "c1"


def test_a_rollback_to_a_version_stays_although_layers_are_learned() -> None:
    releases = reading(*GOOD, layer("l2"))
    publish(releases, releases.roll_back("c1+l1", **AUDIT))
    publish(releases, layer("l3"))
    assert version(releases) == "c1+l1"
    publish(releases, releases.roll_back("c1", **AUDIT))
    assert version(releases) == "c1"
    publish(releases, releases.promote("c1", **AUDIT))
    assert version(releases) == "c1+l3"


@pytest.mark.parametrize("to", ["c9", "c1+l9", "c2+l1", "x1"])
def test_a_rollback_to_what_never_was_is_refused(to: str) -> None:
    releases = reading(*GOOD, champion("c2"), champion("x1", kind="challenger"))
    with pytest.raises(ModelError):
        releases.roll_back(to, **AUDIT)


def test_the_history_has_an_end() -> None:
    releases = reading(champion("c1"), champion("c2"), pointer("c1"))
    for turn in range(HISTORY + 20):
        publish(releases, releases.promote(("c1", "c2")[turn % 2], **AUDIT))
    assert releases.pointer is not None
    assert len(releases.pointer.history) == HISTORY
    assert len(releases.pointer.model_dump_json()) < 64 * 1024


def test_old_layers_can_be_taken_away_but_those_that_are_named() -> None:
    layers = [layer(f"l{i}") for i in range(6)]
    releases = reading(champion("c1"), *layers, pointer("c1", layer="l1", follow=False))
    assert releases.superfluous(keep=3) == [b"icu/layer/c1+l0", b"icu/layer/c1+l2"]
    assert releases.superfluous(keep=0)[-1] == b"icu/layer/c1+l5"


def test_challengers_and_their_shadows_are_listed_and_do_not_score() -> None:
    shadow = ShadowRecord.of(b"state", site="icu", version="x1", champion="c1", at=AT)
    releases = reading(*GOOD, champion("x1", kind="challenger"), shadow)
    assert version(releases) == "c1+l1"
    assert list(releases.challengers) == ["x1"]
    assert releases.shadows["x1"].content() == b"state"
    assert releases.model("x1").version == "x1"


def test_layers_of_two_champions_may_have_one_number() -> None:
    releases = reading(*GOOD, champion("c2"), layer("l1", of="c2", threshold=0.5), pointer("c2", 2))
    assert (version(releases), len(releases.layers)) == ("c2+l1", 2)
    assert not releases.problems


def test_a_record_holds_no_number_that_json_does_not_know() -> None:
    with pytest.raises(ValueError, match="finite"):
        layer("l1", threshold=float("nan"))
    json.loads(layer("l1").model_dump_json())
