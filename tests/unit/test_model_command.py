"""``vigil model``: who may promote what, and what is said when it does not work."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from config.settings import Settings
from models.cohort import held_out
from models.registry import SHIPPED, load_model, read_folder, save_model
from models.release_records import (
    AnyRecord,
    LayerRecord,
    ModelPointer,
    ModelRecord,
    ShadowRecord,
    key_of,
)
from models.releases import Releases
from models.risk import ForestModel
from models.shadow import Shadow
from models.stay import Stay
from streams.commands import model as command
from tests.helpers import HOUR, T0
from tests.shell import vigil
from tests.unit.made_patients import made_patients, write_charts

pytestmark = pytest.mark.unit

MODEL = load_model(SHIPPED["context"])
assert isinstance(MODEL, ForestModel)
NOW = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass
class Topic:
    """The topic ``models``, in memory."""

    records: list[tuple[bytes, bytes]] = field(default_factory=list)

    async def read(self, settings: Settings, site: str) -> Releases:
        releases = Releases(site)
        for offset, (key, value) in enumerate(self.records):
            releases.take(key, value, offset)
        return releases

    async def publish(self, settings: Settings, records: Sequence[AnyRecord]) -> None:
        self.records += [(key_of(r), r.model_dump_json().encode()) for r in records]

    def add(self, *records: AnyRecord) -> None:
        self.records += [(key_of(r), r.model_dump_json().encode()) for r in records]

    @property
    def pointer(self) -> ModelPointer:
        return ModelPointer.model_validate_json(
            next(value for key, value in reversed(self.records) if b"/" not in key)
        )


@pytest.fixture
def topic(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Topic:
    made = Topic()
    monkeypatch.setattr(command, "read_releases", made.read)
    monkeypatch.setattr(command, "publish", made.publish)
    monkeypatch.setenv("VIGIL_HOME", str(tmp_path / "home"))
    return made


def record(version: str, kind: str = "champion", folder: Path = SHIPPED["context"]) -> ModelRecord:
    return ModelRecord.of(
        read_folder(folder), kind=kind, site="default", version=version, created_at=NOW, who="a",
        why="b",
    )  # fmt: skip


def layer(version: str) -> LayerRecord:
    assert isinstance(MODEL, ForestModel)
    return LayerRecord.of(
        MODEL.forest.values, tiers=MODEL.tiers, site="default", version=version, champion="c1",
        created_at=NOW, threshold=0.03, stays=50, examples=900,
    )  # fmt: skip


def pointer(to: str, serial: int = 1) -> ModelPointer:
    return ModelPointer(
        site="default", serial=serial, champion=to, action="start", who="a", why="b", at=NOW
    )


def shadow(version: str, skill: float, champion: str = "c1", stays: int = 600) -> ShadowRecord:
    """How a challenger does that knows more, or less, than the model that scores."""
    made = Shadow(version, champion, T0)
    for number in range(stays):
        labels = np.zeros(24, np.int8)
        labels[12:] = number % 7 == 0
        noise = np.random.default_rng(number).normal(0, 1, 24)
        said = [(-4 + s * 2 * labels + noise, 0.05) for s in (1.0, skill)]
        made.add(f"p{number}", T0 + HOUR * np.arange(1, 25), labels, *said)
    return ShadowRecord.of(
        made.encode(), site="default", version=version, champion=champion, at=NOW
    )


GOOD, BAD = shadow("x1", 1.5), shadow("x1", 0.5)


def scoring(topic: Topic) -> str | None:
    releases = Releases("default")
    for offset, (key, value) in enumerate(topic.records):
        releases.take(key, value, offset)
    active = releases.active()
    return None if active is None else active.version


# -- list


def test_what_there_is_is_listed(topic: Topic) -> None:
    topic.add(record("c1"), pointer("c1"), layer("1"), record("x1", "challenger"), GOOD)
    topic.records.append((b"default/layer/c1+2", b"junk"))
    found = json.loads(vigil("model", "list", "--json").stdout)
    assert found["scoring"] == "c1+1"
    assert [one["version"] for one in found["champions"]] == ["c1"]
    assert [one["version"] for one in found["challengers"]] == ["x1"]
    assert len(found["layers"]) == len(found["shadows"]) == len(found["problems"]) == 1
    assert len(json.dumps(found)) < 10_000  # figures, no model
    shown = vigil("model", "list")
    assert shown.exit_code == 0
    assert "scores with c1+1" in shown.stdout
    assert "default/layer/c1+2" in shown.stdout


def test_a_site_without_a_pointer_says_what_scores(topic: Topic) -> None:
    assert "No model was promoted at site er" in vigil("model", "list", "--site", "er").stdout


# -- promote


def test_a_challenger_that_is_better_in_the_shadow_is_promoted(topic: Topic) -> None:
    topic.add(record("c1"), pointer("c1"), layer("1"), record("x1", "challenger"), GOOD)
    found = vigil("model", "promote", "--challenger", "--who", "Dr. A", "--json")
    assert found.exit_code == 0, found.output
    assert json.loads(found.stdout)["scoring"] == "x1"
    moved = topic.pointer
    assert (moved.who, moved.forced, moved.serial) == ("Dr. A", False, 2)
    assert (moved.from_champion, moved.from_layer) == ("c1", "1")
    assert moved.evidence["stays"] == 600
    assert "better in" in moved.why
    assert scoring(topic) == "x1"


def test_a_challenger_that_is_not_better_is_refused_with_an_exit_code_of_its_own(
    topic: Topic,
) -> None:
    topic.add(record("c1"), pointer("c1"), record("x1", "challenger"), BAD)
    found = vigil("model", "promote", "x1")
    assert found.exit_code == 3
    assert "x1 is not promoted: utility -" in found.stderr
    assert scoring(topic) == "c1"
    said = json.loads(vigil("model", "promote", "x1", "--json").stdout)
    assert said["refused"] == "x1"
    assert len(said["reasons"]) == 2


@pytest.mark.parametrize("beside", [[], [shadow("x1", 1.5, champion="c0", stays=10)]])
def test_without_evidence_against_what_scores_now_nothing_is_promoted(
    topic: Topic, beside: list[AnyRecord]
) -> None:
    topic.add(record("c1"), pointer("c1"), record("x1", "challenger"), *beside)
    found = vigil("model", "promote", "--challenger")
    assert found.exit_code == 3
    assert "nothing shows that it is better" in found.stderr


def test_force_needs_a_reason_which_is_kept(topic: Topic) -> None:
    topic.add(record("c1"), pointer("c1"), record("x1", "challenger"), BAD)
    assert vigil("model", "promote", "x1", "--force").exit_code == 2
    assert scoring(topic) == "c1"
    found = vigil("model", "promote", "x1", "--force", "--reason", "the old one is broken")
    assert found.exit_code == 0, found.output
    assert (topic.pointer.forced, topic.pointer.why) == (True, "the old one is broken")
    assert topic.pointer.evidence["gain"] < 0
    assert scoring(topic) == "x1"


def test_a_forced_promotion_that_the_rule_allows_is_not_recorded_as_forced(topic: Topic) -> None:
    topic.add(record("c1"), pointer("c1"), record("x1", "challenger"), GOOD)
    vigil("model", "promote", "x1", "--force", "--reason", "to be sure")
    assert topic.pointer.forced is False


@pytest.fixture(scope="module")
def patients() -> list[Stay]:
    """Held-out patients, enough of them for the rule."""
    many = made_patients(3000, hours=20)
    return [stay for stay in many if held_out(stay.patient_id)][:520]


@pytest.fixture(scope="module")
def charts(patients: list[Stay], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_charts(tmp_path_factory.mktemp("charts") / "in", patients)


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Models of which the better alarms more: a third of the made patients are septic."""
    root = tmp_path_factory.mktemp("models")
    facts: dict[str, object] = {"held_out": {}}
    for version, threshold in (("worse", 0.9), ("better", 0.0)):
        save_model(replace(MODEL, threshold=threshold, version=version), root / version, facts)
    save_model(replace(MODEL, version="stranger"), root / "stranger", {})
    return {path.name: path for path in root.iterdir()}


def test_a_folder_is_promoted_for_what_it_shows_on_held_out_patients(
    topic: Topic, charts: Path, folders: dict[str, Path]
) -> None:
    topic.add(record("c1", folder=folders["worse"]), pointer("c1"))
    found = vigil("model", "promote", str(folders["better"]), "--data", str(charts))
    assert found.exit_code == 0, found.output
    assert scoring(topic) == "better"
    back = vigil("model", "promote", str(folders["worse"]), "--data", str(charts))
    assert back.exit_code == 3
    assert scoring(topic) == "better"


def test_a_model_that_may_have_seen_the_patients_is_refused(
    topic: Topic, charts: Path, folders: dict[str, Path]
) -> None:
    topic.add(record("c1"), pointer("c1"))
    found = vigil("model", "promote", str(folders["stranger"]), "--data", str(charts))
    assert found.exit_code == 1
    assert "new to both" in " ".join(found.stderr.split())
    assert "Traceback" not in found.output
    assert scoring(topic) == "c1"


def test_the_same_champion_again_follows_its_layers_again(topic: Topic) -> None:
    topic.add(record("c1"), pointer("c1"), layer("1"), layer("2"))
    assert vigil("model", "rollback", "c1+1").exit_code == 0
    topic.add(layer("3"))
    assert scoring(topic) == "c1+1"
    assert vigil("model", "promote", "c1").exit_code == 0
    assert scoring(topic) == "c1+3"


def test_a_site_begins_with_the_model_that_scores_there_already(topic: Topic) -> None:
    found = vigil("model", "promote", "shipped", "--json")
    assert found.exit_code == 0, found.output
    assert scoring(topic) == MODEL.version
    assert (topic.pointer.action, topic.pointer.serial) == ("start", 1)
    other = vigil("model", "promote", "shipped", "--site", "er", "--data", "/nowhere")
    assert other.exit_code == 2


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        ([], 2, "VERSION or --challenger"),
        (["c1", "--challenger"], 2, "VERSION or --challenger"),
        (["--challenger"], 1, "no challenger at site default"),
        (["nobody"], 1, "no model 'nobody'"),
        (["c1+1"], 1, "is a layer"),
    ],
)
def test_what_cannot_be_promoted_says_why(
    topic: Topic, arguments: list[str], code: int, says: str
) -> None:
    topic.add(record("c1"), pointer("c1"))
    found = vigil("model", "promote", *arguments)
    assert found.exit_code == code
    assert says in " ".join(found.stderr.split())
    assert "Traceback" not in found.output


def test_a_pointer_that_somebody_else_moved_meanwhile_is_told(
    topic: Topic, monkeypatch: pytest.MonkeyPatch
) -> None:
    topic.add(record("c1"), record("c2"), pointer("c1"))

    async def race(settings: Settings, records: Sequence[AnyRecord]) -> None:
        topic.add(*records, pointer("c2", 9))

    monkeypatch.setattr(command, "publish", race)
    found = vigil("model", "rollback", "c1")
    assert found.exit_code == 1
    assert "somebody else moved the pointer" in found.stderr


# -- rollback


def test_rollback_goes_to_the_one_before_and_is_recorded(topic: Topic) -> None:
    topic.add(record("c1"), pointer("c1"), record("x1", "challenger"), GOOD)
    vigil("model", "promote", "--challenger")
    found = vigil("model", "rollback", "--reason", "too many alerts", "--json")
    assert json.loads(found.stdout)["scoring"] == "c1"
    moved = topic.pointer
    assert (moved.action, moved.why, moved.from_champion) == ("rollback", "too many alerts", "x1")
    assert [move.champion for move in moved.history] == ["x1", "c1"]
    assert vigil("model", "rollback").exit_code == 1


def test_a_rollback_to_nothing_known_says_so(topic: Topic) -> None:
    topic.add(record("c1"), pointer("c1"))
    found = vigil("model", "rollback", "c7")
    assert found.exit_code == 1
    assert "no model 'c7'" in " ".join(found.stderr.split())
    assert "promote a version" in vigil("model", "rollback", "--site", "er").stderr


# -- compare


def test_two_folders_are_compared_without_a_broker(
    charts: Path, folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("VIGIL_HOME", str(tmp_path))
    given = ["model", "compare", str(folders["worse"]), str(folders["better"])]
    found = vigil(*given, "--data", str(charts), "--resamples", "20", "--json")
    assert found.exit_code == 0, found.output
    told = json.loads(found.stdout)
    assert (told["a"], told["b"], told["promote"]) == ("worse", "better", True)
    assert list(told["figures"]) == ["A: worse", "B: better", "ICU clock ≥ 53 h"]
    low, high = told["difference"]["gain_interval"]
    assert low < told["difference"]["gain"] < high
    shown = vigil(*given, "--data", str(charts), "--resamples", "5")
    assert "B may take over" in shown.stdout


def test_the_active_model_and_a_version_are_compared(topic: Topic, charts: Path) -> None:
    topic.add(record("c1"), pointer("c1"), layer("1"), record("x1", "challenger"))
    given = ["--data", str(charts), "--resamples", "0", "--json"]
    found = vigil("model", "compare", "active", "x1", *given)
    assert found.exit_code == 0, found.output
    told = json.loads(found.stdout)
    assert (told["a"], told["b"]) == ("c1+1", "x1")
    assert told["difference"]["stays"] == 520
    assert told["patients_left_out"] == 0
