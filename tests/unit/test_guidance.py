"""The words a clinician reads are there for everything the code can say."""

import pytest
from pydantic import ValidationError

from config.guidance import Guidance, guidance
from models.features import GROUPS
from models.risk import Tiers

pytestmark = pytest.mark.unit


def test_every_tier_has_next_steps_and_only_the_quiet_one_has_none() -> None:
    assert tuple(guidance().next_steps) == ("none", *Tiers._fields)
    assert [tier for tier, steps in guidance().next_steps.items() if not steps] == ["none"]


def test_every_group_of_features_has_a_name_and_there_are_no_others() -> None:
    assert set(guidance().groups) == set(GROUPS)
    assert len(set(guidance().groups.values())) == len(GROUPS)


def test_texts_have_a_version_and_say_that_this_is_no_medical_device() -> None:
    assert guidance().version.startswith("guidance/")
    assert "Not a medical device" in guidance().disclaimer


@pytest.mark.parametrize("change", [{"advice": "run"}, {"disclaimer": None}, {"next_steps": []}])
def test_a_file_that_is_not_what_it_should_be_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Guidance.model_validate({**guidance().model_dump(), **change})
