"""A table of figures, for the commands that measure."""

from collections.abc import Sequence

from rich.box import SIMPLE_HEAD
from rich.table import Table

from models.card import figure, share
from models.evaluation import Row

__all__ = ["figures_table"]


def figures_table(title: str, rows: Sequence[Row]) -> Table:
    """Show reports as a table of 80 columns, one row each.

    Args:
        title: shown above.
        rows: what was measured.
    """
    table = Table(
        "",
        title=title,
        caption="ECE calibration error · sens. septic patients alerted · PPV true alerts",
        box=SIMPLE_HEAD,
        pad_edge=False,
        collapse_padding=True,
    )
    for name in ("AUROC", "AUPRC", "ECE", "utility", "sens.", "PPV", "alerts/day"):
        table.add_column(name, justify="right", no_wrap=True)
    for row in rows:
        found = row.report
        table.add_row(
            row.name,
            figure(found.auroc, 3),
            figure(found.auprc, 3),
            figure(found.calibration_error, 4),
            figure(found.utility, 3),
            share(found.sensitivity),
            share(found.alert_ppv),
            figure(found.alerts_per_patient_day, 2),
        )
    return table
