"""What is on `alerts.raised`: given to the pager, and made where operators have to know."""

from config.clock import from_ms, to_ms
from streams.alert_events import AlertRaised, AlertResolved, Census, PagedTier
from tables.alert_rows import Alert
from tables.operations import operations_alert
from tables.pager import Pager

__all__ = ["give", "operations_event"]


def give(pager: Pager, event: AlertRaised | AlertResolved | Census, wall_ms: int) -> None:
    """Give the pager an event.

    Args:
        pager: takes it in.
        event: of the topic.
        wall_ms: now.
    """
    if isinstance(event, AlertResolved):
        pager.resolved(event.patient_id, to_ms(event.episode_at), to_ms(event.at), wall_ms)
    elif isinstance(event, Census):
        pager.census(event.unit_id, event.partition, event.patient_hours, to_ms(event.at), wall_ms)
    else:
        alert = Alert(
            alert_id=event.alert_id,
            reference="",
            kind=event.kind,
            tier=event.tier,
            subject=event.subject,
            raised_ms=to_ms(event.raised_at),
            patient_id=event.patient_id,
            unit_id=event.unit_id,
            episode_ms=None if event.episode_at is None else to_ms(event.episode_at),
        )
        late_ms = 0 if event.produced_at is None else wall_ms - to_ms(event.produced_at)
        pager.raised(alert, wall_ms, higher=event.higher, late_ms=late_ms)


def operations_event(
    name: str, tier: PagedTier, subject: str, at_ms: int, policy: str
) -> AlertRaised:
    """Make the event of an alert to operators: the pager takes in what `operations_alert` makes.

    Args:
        name: what it is about: what has the same name is the same alert.
        tier: of the alert policy.
        subject: for people, without a patient.
        at_ms: when.
        policy: version of the alert policy.
    """
    alert = operations_alert(name, tier, subject, at_ms)
    return AlertRaised(
        alert_id=alert.alert_id,
        kind=alert.kind,
        tier=alert.tier,
        subject=alert.subject,
        raised_at=from_ms(alert.raised_ms),
        policy=policy,
    )
