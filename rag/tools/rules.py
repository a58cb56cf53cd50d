"""The rules of the alert policy in words, and which of them a reading meets."""

from typing import get_args

from config.policy_models import TierRule
from rag.tools.patient_risk import log_odds
from streams.alert_events import PagedTier
from tables.ward_rows import TIERS, Point

__all__ = ["PAGED", "met", "words"]

PAGED: tuple[PagedTier, ...] = get_args(PagedTier)


def words(rule: TierRule) -> list[str]:
    """Say what brings a patient to a tier: any one of these."""
    found = []
    if rule.recommended is not None:
        found.append(f"the model's own tier is {rule.recommended} or higher")
    model = f" and the model's own tier is at least {rule.at_least}" if rule.at_least else ""
    if rule.news2 is not None:
        found.append(f"NEWS2 is {rule.news2} or more{model}")
    if rule.rise_log_odds is not None:
        found.append(
            f"the risk has risen by {rule.rise_log_odds:g} log-odds or more within "
            f"{rule.rise_hours:g} h{model}"
        )
    return found


def met(rule: TierRule, at: Point, before: list[Point]) -> list[str]:
    """Say which conditions a reading meets, with its numbers.

    Args:
        rule: of the tier.
        at: where the patient stood.
        before: the points that are kept from before; the rise is over those.
    """
    found = []
    if rule.recommended is not None and at.tier >= TIERS.index(rule.recommended):
        found.append(f"the model's own tier is {TIERS[at.tier]}, at least {rule.recommended}")
    if at.tier < TIERS.index(rule.at_least or "none"):
        return found
    if rule.news2 is not None and at.news2 >= rule.news2:
        found.append(f"NEWS2 is {at.news2}, at least {rule.news2}")
    if rule.rise_log_odds is not None:
        since_ms = at.at_ms - round(rule.rise_hours * 3_600_000)
        lows = [one.risk for one in before if since_ms <= one.at_ms <= at.at_ms]
        rise = log_odds(at.risk) - log_odds(min(lows, default=at.risk))
        if rise >= rule.rise_log_odds:
            found.append(f"the risk has risen by {rise:.2f} log-odds within {rule.rise_hours:g} h")
    return found
