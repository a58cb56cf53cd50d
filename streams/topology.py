"""The topology: who reads what, keeps what and writes what.

One table. The README's picture is drawn from it, and a test holds it against the agents that are
registered and the topics they touch.
"""

from dataclasses import dataclass

from config.settings import Settings
from streams.topics import Catalogue, catalogue

__all__ = ["ANSWERS", "APPLICATIONS", "BEDSIDE", "LEARNING", "PAGING", "Step", "mermaid"]


@dataclass(frozen=True, slots=True)
class Step:
    """One agent.

    Attributes:
        agent: its name.
        reads: roles of the topics it reads.
        writes: roles of the topics it writes.
        keeps: tables it writes.
        looks_up: tables of other agents it reads.
        about: what it does, in a few words.
        follows: roles of the topics that every worker reads whole.
    """

    agent: str
    reads: tuple[str, ...]
    writes: tuple[str, ...]
    keeps: tuple[str, ...]
    looks_up: tuple[str, ...]
    about: str
    follows: tuple[str, ...] = ()


BEDSIDE = (
    Step(
        agent="admit",
        reads=("admissions",),
        writes=("admissions", "dead_letters"),
        keeps=("stays",),
        looks_up=(),
        about="who the patient is",
    ),
    Step(
        agent="chart",
        reads=("labs",),
        writes=("labs", "dead_letters"),
        keeps=("results",),
        looks_up=(),
        about="what the laboratory found",
    ),
    Step(
        agent="close",
        reads=("outcomes",),
        writes=("lessons", "dead_letters"),
        keeps=(),
        looks_up=(),
        about="how stays ended",
    ),
    Step(
        agent="score",
        reads=("vitals", "vitals_routed"),
        writes=("recommendations", "lessons", "vitals_routed", "vitals_late", "dead_letters"),
        keeps=("windows",),
        looks_up=("stays", "results"),
        about="window, features, risk",
        follows=("models",),
    ),
)

LEARNING = (
    Step(
        agent="learn",
        reads=("lessons",),
        writes=("models", "drift", "dead_letters"),
        keeps=("pending",),
        looks_up=(),
        about="what the outcomes teach",
        follows=("models",),
    ),
)

PAGING = (
    Step(
        agent="watch",
        reads=("recommendations",),
        writes=("alerts_raised", "dead_letters"),
        keeps=("episodes",),
        looks_up=(),
        about="episodes of patients",
    ),
    Step(
        agent="operations",
        reads=("drift", "models", "dead_letters"),
        writes=("alerts_raised",),
        keeps=(),
        looks_up=(),
        about="what operators have to see to",
    ),
    Step(
        agent="page",
        reads=("alerts_raised", "alerts_acknowledged", "alerts_silences", "delivery_receipts"),
        writes=("alerts", "audit", "dead_letters"),
        keeps=("pages",),
        looks_up=(),
        about="who is paged, and who comes",
    ),
)

ANSWERS = (
    Step(
        agent="file",
        reads=("documents",),
        writes=("dead_letters",),
        keeps=(),
        looks_up=(),
        about="what to answer from",
        follows=("documents",),
    ),
    Step(
        agent="keep",
        reads=("recommendations",),
        writes=("dead_letters",),
        keeps=("ward",),
        looks_up=(),
        about="what is known of patients",
        follows=("alerts",),
    ),
    Step(
        agent="ask",
        reads=("chat_questions",),
        writes=("chat_answers", "chat_audit", "dead_letters"),
        keeps=("conversations",),
        looks_up=("ward",),
        about="evidence, live data, or no answer",
    ),
)

APPLICATIONS = {"bedside": BEDSIDE, "learning": LEARNING, "paging": PAGING, "answers": ANSWERS}


def mermaid(steps: tuple[Step, ...], settings: Settings) -> str:
    """Draw the topology as a Mermaid flow chart: topics, agents, tables."""
    topics: Catalogue = catalogue(settings)
    lines = ["flowchart LR"]
    roles = dict.fromkeys(
        role for step in steps for role in (*step.reads, *step.writes, *step.follows)
    )
    lines += [f'    {role}[/"{getattr(topics, role).name}"/]' for role in roles]
    lines += [f'    {step.agent}("{step.agent}: {step.about}")' for step in steps]
    tables = dict.fromkeys(table for step in steps for table in (*step.keeps, *step.looks_up))
    lines += [f'    {table}[("{table}")]' for table in tables]
    for step in steps:
        lines += [f"    {role} --> {step.agent}" for role in step.reads]
        lines += [f"    {step.agent} --> {role}" for role in step.writes]
        lines += [f"    {step.agent} <--> {table}" for table in step.keeps]
        lines += [f"    {seen} -.-> {step.agent}" for seen in (*step.looks_up, *step.follows)]
    return "\n".join(lines)
