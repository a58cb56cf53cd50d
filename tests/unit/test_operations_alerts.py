"""Alerts to operators are the same alert, whichever way they come to the pager."""

from typing import Any

import pytest

from streams.alert_events import RaisedEvent
from streams.intake_alerts import give, operations_event
from tables.alert_rows import Alert
from tables.operations import operations_alert

pytestmark = pytest.mark.unit

ABOUT = ("drift/7", "warning", "drift of spo2 (inputs)", 1_760_000_000_123)


class Taker:
    """In the pager's place."""

    def raised(self, alert: Alert, wall_ms: int, **how: Any) -> bool:
        self.alert, self.how = alert, how
        return True


def test_what_comes_by_the_topic_is_what_the_pager_would_have_made_itself() -> None:
    taker: Any = Taker()
    value = operations_event(*ABOUT, "policy-1").model_dump_json()
    give(taker, RaisedEvent.model_validate_json(value).root, ABOUT[3])
    assert taker.alert == operations_alert(*ABOUT)
    assert taker.how == {"higher": False, "late_ms": 0}


def test_one_thing_is_one_alert_however_it_is_put_and_another_is_another() -> None:
    name, tier, _, at_ms = ABOUT
    again = operations_alert(name, "urgent", "in other words", at_ms + 1)
    assert again.alert_id == operations_alert(*ABOUT).alert_id
    assert again.alert_id != operations_alert("drift/8", tier, "", at_ms).alert_id
