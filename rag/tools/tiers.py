"""The tool about tiers: where each begins, what raises an alert of it, what is suggested."""

from config.clock import from_ms
from config.guidance import guidance
from rag.tools import arguments as args
from rag.tools import results as out
from rag.tools.rules import PAGED, words
from rag.tools.scene import Scene
from rag.tools.wording import percent, said
from tables.ward_rows import TIERS

__all__ = ["tier_explained"]


def tier_explained(given: args.TierArgs, _: None, scene: Scene) -> out.Tiers:
    """Explain a tier, or all of them."""
    rows = []
    for tier in TIERS:
        if given.tier not in (None, tier):
            continue
        rule = None
        if scene.rules is not None and tier in PAGED:
            rule = scene.rules.tiers.get(tier)
        begins = None
        if scene.tiers is not None:
            begins = 0.0 if tier == "none" else float(getattr(scene.tiers, tier))
        rows.append(
            out.TierRow(
                tier=tier,
                from_risk=begins,
                raised_when=[] if rule is None else words(rule),
                next_steps=guidance().next_steps[tier],
            )
        )
    return out.Tiers(
        tool="tier_explained",
        as_of=from_ms(scene.now_ms),
        tiers=rows,
        text=said(
            "\n".join(_words(row) for row in rows),
            f"Basis: the model's tiers, the alert policy and {guidance().version}.",
        ),
    )


def _words(row: out.TierRow) -> str:
    begins = "" if row.from_risk is None else f" begins at a risk of {percent(row.from_risk)}."
    raised = ""
    if row.raised_when:
        raised = f" An alert is raised where {'; or '.join(row.raised_when)}."
    steps = " ".join(row.next_steps) or "Nothing beyond the usual care."
    return f"Tier {row.tier}:{begins}{raised} Suggested: {steps}"
