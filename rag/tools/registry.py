"""All tools: what each is called, what it takes and gives, and the one way to call it.

name, arguments ─→ validated ─→ expired? ─→ the right to see it? ─→ tool ─→ result
                       │            │               └→ refusal, or nothing known
                       └→ error     └→ refusal
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from functools import cache
from typing import Any, Literal

from pydantic import ValidationError

from config.clock import from_ms
from config.clock import now_ms as wall_ms
from config.policy_models import EpisodeRules
from models.risk import Tiers
from rag.tools import alerts, patient_risk, patient_scores, patient_vitals, subjects, tiers, units
from rag.tools import arguments as args
from rag.tools import results as out
from rag.tools.argument_texts import ToolArgumentError, what_to_write
from rag.tools.claims import Claims, Refusal
from rag.tools.rights import Rights
from rag.tools.scene import Scene, Ward
from rag.tools.wording import said
from streams.plain import plain

__all__ = ["Setting", "Tool", "call", "catalogue", "openai_tools"]

Needs = Literal["patient", "unit", "alert", "nothing"]


@dataclass(frozen=True, slots=True)
class Setting:
    """What tools know besides the ward.

    Attributes:
        rights: who may see what.
        rules: of the alert policy, for why somebody was paged; None = not known.
        tiers: lowest risk of each tier of the model that scores; None = not known.
    """

    rights: Rights = field(default_factory=Rights)
    rules: EpisodeRules | None = None
    tiers: Tiers | None = None


@dataclass(frozen=True, slots=True)
class Tool:
    """One tool.

    Attributes:
        name: that it is called by.
        arguments: model of what it takes.
        result: model of what it gives.
        needs: what whoever asks has to have the right to.
        run: the function.
        staff: whether patients may not call it, because it names who works here.
    """

    name: str
    arguments: type[args.Arguments]
    result: type[out.Result]
    needs: Needs
    run: Callable[[Any, Any, Scene], out.Result]
    staff: bool = False

    @property
    def description(self) -> str:
        """What it does, in a line."""
        return (self.run.__doc__ or "").strip()

    def schema(self) -> dict[str, Any]:
        """The tool as JSON, in the format of OpenAI's ``tools``."""
        return {
            "type": "function",
            "function": {
                "name": self.name,
                "description": self.description,
                "parameters": _bare(self.arguments.model_json_schema()),
            },
        }


@cache
def catalogue() -> Mapping[str, Tool]:
    """All tools by name."""
    return {
        tool.name: tool
        for tool in (
            _patient(patient_risk.current_risk, args.PatientArgs, out.RiskNow),
            _patient(patient_risk.risk_trend, args.RiskTrendArgs, out.RiskTrend),
            _patient(patient_risk.next_steps, args.PatientArgs, out.NextSteps),
            _patient(patient_risk.model_behind, args.PatientArgs, out.ModelBehind),
            _patient(patient_scores.news2_explained, args.PatientArgs, out.News2Explained),
            _patient(patient_scores.sepsis_screen, args.PatientArgs, out.Screening),
            _patient(patient_vitals.latest_vitals, args.VitalArgs, out.LatestVitals),
            _patient(patient_vitals.vital_trend, args.VitalTrendArgs, out.VitalTrend),
            _patient(patient_vitals.compare, args.CompareArgs, out.Comparison),
            _patient(patient_vitals.data_quality, args.PatientArgs, out.Quality),
            _patient(patient_vitals.last_reading, args.PatientArgs, out.LastReading),
            _patient(alerts.open_alerts, args.PatientArgs, out.AlertList, staff=True),
            _patient(alerts.alert_history, args.HistoryArgs, out.AlertList, staff=True),
            _alert(alerts.why_paged, out.WhyPaged),
            _alert(alerts.who_answered, out.AlertAnswers),
            _unit(alerts.unit_open_alerts, args.UnitArgs, out.AlertList),
            _unit(units.sickest_on_unit, args.SickestArgs, out.UnitPatients),
            _unit(units.worsened_on_unit, args.WorsenedArgs, out.Worsened),
            _unit(units.unit_summary, args.UnitArgs, out.UnitSummary),
            _unit(units.unit_patients, args.UnitArgs, out.UnitPatients),
            _unit(units.silent_patients, args.SilentArgs, out.UnitPatients),
            _unit(units.unit_vital, args.UnitVitalArgs, out.UnitVital),
            Tool("tier_explained", args.TierArgs, out.Tiers, "nothing", tiers.tier_explained),
        )
    }


def openai_tools() -> list[dict[str, Any]]:
    """All tools as JSON, in the format of OpenAI's ``tools``."""
    return [tool.schema() for tool in catalogue().values()]


def call(
    name: str,
    arguments: Mapping[str, Any] | str,
    ward: Ward,
    claims: Claims,
    *,
    setting: Setting | None = None,
    now_ms: int | None = None,
    now_s: float | None = None,
) -> out.Result | Refusal:
    """Call a tool for somebody.

    Args:
        name: of the tool.
        arguments: of it; as JSON text too, which is how endpoints send them.
        ward: the live state.
        claims: of who asks, as `rag.tools.claims.read_claims` has read them.
        setting: what tools know besides; None = what it is without any.
        now_ms: what ages are measured against; None = the newest observed time on the ward. Give
            the time of the question where the feed is live, so that a feed that has stopped shows.
        now_s: wall clock that the claims' end is held against; None = now.

    Returns:
        The result, `rag.tools.results.NothingKnown` where there is nothing, or a refusal.

    Raises:
        ToolArgumentError: there is no such tool, or the arguments are not its own. The message
            says what to change, and carries no values; ``said`` is for people.
    """
    tool = catalogue().get(name)
    if tool is None:
        near = get_close_matches(name, catalogue(), 1)
        hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(catalogue())}"
        raise ToolArgumentError(f"there is no tool of that name: {hint}")
    given = _validated(tool, arguments)
    chosen = setting or Setting()
    rights = chosen.rights
    if claims.exp <= (wall_ms() / 1000 if now_s is None else now_s):
        return rights.refuse("expired", claims, tool.name, "claims", "")
    if tool.staff and claims.is_patient:
        return rights.refuse("wrong_role", claims, tool.name, "claims", "")
    scene = Scene(max(ward.now_ms, now_ms or 0), chosen.rules, chosen.tiers)
    seen = _seen(tool, given, ward, claims, rights)
    if isinstance(seen, Refusal):
        return seen
    if isinstance(seen, subjects.Unknown):
        return out.NothingKnown(
            tool=tool.name, as_of=from_ms(scene.now_ms), text=said(plain(seen.text))
        )
    return tool.run(given, seen, scene)


def _seen(tool: Tool, given: Any, ward: Ward, claims: Claims, rights: Rights) -> Any:
    """What the tool is about, if whoever asks may see it."""
    match tool.needs:
        case "patient":
            return subjects.patient(tool.name, given, ward, claims, rights)
        case "unit":
            return subjects.unit(tool.name, given, ward, claims, rights)
        case "alert":
            return subjects.alert(tool.name, given, ward, claims, rights)
        case "nothing":
            return None


def _validated(tool: Tool, arguments: Mapping[str, Any] | str) -> args.Arguments:
    known = ", ".join(tool.arguments.model_fields) or "none"
    if isinstance(arguments, str):
        try:
            arguments = json.loads(arguments or "{}")
        except (ValueError, RecursionError):
            raise ToolArgumentError(
                f"{tool.name}: the arguments are not JSON: send an object with {known}"
            ) from None
    if not isinstance(arguments, Mapping):
        raise ToolArgumentError(f"{tool.name}: the arguments are no object: send {known}")
    try:
        return tool.arguments.model_validate(dict(arguments))
    except ValidationError as error:
        found = error.errors(include_input=False, include_url=False)
        problems = [
            f"{'.'.join(str(part) for part in one['loc']) or 'arguments'}: {one['msg'].lower()}"
            for one in found
        ]
        raise ToolArgumentError(
            f"{tool.name}: {'; '.join(problems)}. It takes: {known}", what_to_write(found)
        ) from None


def _named(run: Callable[..., Any]) -> str:
    return run.__name__


def _patient(
    run: Callable[[Any, Any, Scene], out.Result],
    arguments: type[args.Arguments],
    result: type[out.Result],
    *,
    staff: bool = False,
) -> Tool:
    return Tool(_named(run), arguments, result, "patient", run, staff)


def _alert(run: Callable[[Any, Any, Scene], out.Result], result: type[out.Result]) -> Tool:
    return Tool(_named(run), args.AlertArgs, result, "alert", run, staff=True)


def _unit(
    run: Callable[[Any, Any, Scene], out.Result],
    arguments: type[args.Arguments],
    result: type[out.Result],
) -> Tool:
    return Tool(_named(run), arguments, result, "unit", run, staff=True)


def _bare(schema: Any) -> Any:
    """A schema without what says nothing to whoever calls: titles, the model's own text."""
    kept = {key: value for key, value in schema.items() if key not in ("title", "description")}
    kept["properties"] = {
        name: {key: value for key, value in field.items() if key != "title"}
        for name, field in schema.get("properties", {}).items()
    }
    return kept
