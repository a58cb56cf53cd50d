"""What is told to operators of a reply that is no answer."""

import pytest

from config.policy import load_policy
from streams.callbacks import opted_out

pytestmark = pytest.mark.unit


def test_an_opt_out_that_is_delivered_again_is_the_same_alert_and_a_later_one_another() -> None:
    policy = load_policy()
    first, again = opted_out("nurse-day", "SM1", policy), opted_out("nurse-day", "SM1", policy)
    assert first.alert_id == again.alert_id
    assert first.alert_id != opted_out("nurse-day", "SM2", policy).alert_id


def test_operators_are_told_the_contact_and_not_the_number() -> None:
    policy = load_policy()
    alert = opted_out("nurse-day", "SM1", policy)
    assert (alert.kind, alert.tier) == ("operations", "warning")
    assert "nurse-day" in alert.subject
    assert str(policy.contacts["nurse-day"].sms) not in alert.model_dump_json()
