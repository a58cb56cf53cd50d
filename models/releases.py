"""Which model scores: what a reader of the topic ``models`` builds from its records.

    records ─→ champions, challengers, layers, pointers ─→ active()

The result depends on the records and their offsets, not on the order in which they are taken in.
What cannot be used is never applied: it is a `Problem`, and what was before stays. So do the
workers that read it later, as far as a compacted topic still has what was before.

Nobody but people and the rule of promotion moves the pointer. A learner adds layers; a pointer that
*follows* makes the newest one that fits its champion score.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Literal, TypeVar

from pydantic import ValidationError

from models.registry import ModelError, load_files
from models.release_records import (
    HISTORY,
    AnyRecord,
    LayerRecord,
    ModelEvent,
    ModelPointer,
    ModelRecord,
    PointerMove,
    ShadowRecord,
    key_of,
)
from models.risk import ForestModel, RiskModel, Tiers

__all__ = ["Problem", "Releases"]

#: Champions kept ready to score.
_LOADED = 3
#: Problems that are remembered.
_PROBLEMS = 100

_R = TypeVar("_R", ModelRecord, LayerRecord, ShadowRecord)


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that was not applied.

    Attributes:
        key: of the record.
        what: why not.
    """

    key: str
    what: str


@dataclass(slots=True, eq=False)
class _Taken:
    """A record and where it stands; None = it was taken away."""

    offset: int
    record: AnyRecord | None


@dataclass(slots=True, eq=False)
class Releases:
    """The models of one site.

    Attributes:
        site: whose records are taken in; those of others are passed over.
        load: makes a model of a model folder's files.
    """

    site: str
    load: Callable[[Mapping[str, bytes]], RiskModel] = load_files
    _taken: dict[bytes, _Taken] = field(default_factory=dict, repr=False)
    _pointers: dict[int, ModelPointer] = field(default_factory=dict)
    _no_pointer_before: int = -1
    _problems: dict[Problem, None] = field(default_factory=dict)
    _loaded: dict[tuple[str, int], RiskModel] = field(default_factory=dict)
    _relearned: tuple[tuple[int, int], RiskModel] | None = None

    def take(self, key: bytes | None, value: bytes | None, offset: int) -> bool:
        """Take in a record.

        Args:
            key: see `models.release_records`.
            value: JSON; None takes the record of that key away.
            offset: of the record; of two records of a key the one further on counts.

        Returns:
            Whether it changed anything; `active` may then give another model.
        """
        if key is None or not (key == self._root or key.startswith(self._root + b"/")):
            return False
        before = self._taken.get(key)
        if before is not None and offset <= before.offset and key != self._root:
            return False
        record = None
        if value is not None:
            try:
                record = self._read(key, value)
            except ValueError as error:
                self._report(key, _short(error))
                return False
        if key == self._root:
            return self._point(record, offset)
        was = None if before is None else before.record
        if was is not None and isinstance(record, ModelRecord | LayerRecord) and was != record:
            self._report(key, "a version has other content than before; the newer one counts")
        self._taken[key] = _Taken(offset, record)
        return True

    @property
    def problems(self) -> list[Problem]:
        """What was not applied, each once."""
        return list(self._problems)

    @property
    def champions(self) -> dict[str, ModelRecord]:
        """Models that may score, by version, the oldest first."""
        return {r.version: r for r in self._of(ModelRecord) if r.kind == "champion"}

    @property
    def challengers(self) -> dict[str, ModelRecord]:
        """Models that score in the shadow, by version, the oldest first."""
        return {r.version: r for r in self._of(ModelRecord) if r.kind == "challenger"}

    @property
    def layers(self) -> dict[str, LayerRecord]:
        """Layers by the version that scores with them, ``<champion>+<layer>``, the oldest first."""
        return {r.scoring_version(): r for r in self._of(LayerRecord)}

    @property
    def shadows(self) -> dict[str, ShadowRecord]:
        """How challengers do, by the challenger's version."""
        return {r.version: r for r in self._of(ShadowRecord)}

    @property
    def trained_until_ms(self) -> int | None:
        """Newest event that any model was trained on, ms since 1970; None where none says."""
        known = [(r.facts.get("data") or {}).get("last_event_ms") for r in self._of(ModelRecord)]
        return max((int(at_ms) for at_ms in known if at_ms is not None), default=None)

    @property
    def pointer(self) -> ModelPointer | None:
        """The newest pointer, whether or not it could be applied."""
        return self._pointers[max(self._pointers)] if self._pointers else None

    def active(self) -> RiskModel | None:
        """The model to score with.

        Returns:
            The same object as before where nothing has changed; None where no pointer of this site
            can be applied. Its version is the champion's, and with a layer
            ``<champion>+<layer>``.
        """
        for choice in self._choices():
            found = self._resolve(choice)
            if found is not None:
                return found
        return None

    def model(self, version: str) -> RiskModel:
        """Make any model of the topic ready to score.

        Args:
            version: of a champion, a challenger, or ``<champion>+<layer>``.

        Raises:
            ModelError: it is not there, or cannot be used.
        """
        champion, layer = _parts(version)
        record = self.champions.get(champion) or self.challengers.get(champion)
        if record is None:
            raise ModelError(
                f"there is no model {champion!r} of site {self.site!r}; `vigil model list` shows "
                "those that are"
            )
        if layer is None:
            return self._load(record)
        if version not in self.layers:
            raise ModelError(f"there is no layer {version!r} of site {self.site!r}")
        return self._with_layer(record, self.layers[version])

    def start(self, champion: str, *, who: str, why: str, at: datetime) -> ModelPointer:
        """Make the first pointer of a site.

        Raises:
            ModelError: there is one.
        """
        if self.pointer is not None:
            raise ModelError(f"site {self.site!r} has a pointer to {self.pointer.champion!r}")
        return self._move("start", champion, None, True, who=who, why=why, at=at)

    def promote(
        self,
        champion: str,
        *,
        who: str,
        why: str,
        at: datetime,
        forced: bool = False,
        evidence: Mapping[str, Any] | None = None,
    ) -> ModelPointer:
        """Make a pointer to another champion, whose layers then follow.

        Args:
            champion: version of the champion; its record is to be published before the pointer.
            who: decided.
            why: in words.
            at: when.
            forced: whether the rule of promotion was overruled.
            evidence: figures.
        """
        return self._move(
            "promote", champion, None, True, who=who, why=why, at=at, forced=forced,
            evidence=dict(evidence or {}),
        )  # fmt: skip

    def roll_back(
        self, version: str | None = None, *, who: str, why: str, at: datetime
    ) -> ModelPointer:
        """Make a pointer to an earlier version.

        Args:
            version: ``<champion>`` without a layer, or ``<champion>+<layer>``; it stays until the
                next promotion. None = what the pointer before the present one said. Again and
                again, that goes further back.
            who: decided.
            why: in words.
            at: when.

        Raises:
            ModelError: there is no such version, or nothing before the present one.
        """
        if version is None:
            before = self._before()
            return self._move(
                "rollback", before.champion, before.layer, before.follow, who=who, why=why, at=at
            )
        self.model(version)
        champion, layer = _parts(version)
        if champion not in self.champions:
            raise ModelError(f"{champion!r} never was a champion of site {self.site!r}: promote it")
        return self._move("rollback", champion, layer, False, who=who, why=why, at=at)

    def superfluous(self, keep: int = 100) -> list[bytes]:
        """Keys of layers that nobody needs any more, for tombstones.

        Args:
            keep: newest layers that are kept in any case.
        """
        named = {f"{choice.champion}+{choice.layer}" for choice in self._choices()}
        old = list(self.layers)[: -keep or None]
        return [key_of(self.layers[version]) for version in old if version not in named]

    # -- reading

    @property
    def _root(self) -> bytes:
        return self.site.encode()

    def _read(self, key: bytes, value: bytes) -> AnyRecord:
        record = ModelEvent.model_validate_json(value).root
        if key_of(record) != key:
            raise ValueError(f"the record says it is {key_of(record).decode()}")
        if isinstance(record, LayerRecord):
            record.leaves()
        elif isinstance(record, ModelRecord):
            record.contents()
        return record

    def _point(self, record: AnyRecord | None, offset: int) -> bool:
        """Take in a pointer, or that there is none before this offset."""
        if offset <= self._no_pointer_before or offset in self._pointers:
            return False
        if isinstance(record, ModelPointer):
            self._pointers[offset] = record
        else:
            self._no_pointer_before = offset
        kept = [at for at in sorted(self._pointers) if at > self._no_pointer_before][-HISTORY:]
        self._pointers = {at: self._pointers[at] for at in kept}
        return True

    def _of(self, kind: type[_R]) -> list[_R]:
        """Records of a kind, the oldest first."""
        found = [taken for taken in self._taken.values() if isinstance(taken.record, kind)]
        ordered = sorted(found, key=lambda taken: taken.offset)
        return [taken.record for taken in ordered if isinstance(taken.record, kind)]

    def _offset(self, record: AnyRecord) -> int:
        return self._taken[key_of(record)].offset

    def _report(self, key: bytes, what: str) -> None:
        self._problems.setdefault(Problem(key.decode(errors="replace"), what))
        if len(self._problems) > _PROBLEMS:
            del self._problems[next(iter(self._problems))]

    # -- choosing

    def _choices(self) -> Iterator[ModelPointer | PointerMove]:
        """What may score, what was said last first."""
        pointers = [self._pointers[offset] for offset in sorted(self._pointers, reverse=True)]
        yield from pointers
        for pointer in pointers[:1]:
            yield from pointer.history

    def _resolve(self, choice: ModelPointer | PointerMove) -> RiskModel | None:
        record = self.champions.get(choice.champion)
        if record is None:
            self._report(self._root, f"no champion {choice.champion!r}: the one before stays")
            return None
        try:
            bare = self._load(record)
            if choice.layer is not None:
                layer = self.layers.get(f"{choice.champion}+{choice.layer}")
                if layer is None:
                    raise ModelError(f"no layer {choice.champion}+{choice.layer}")
                return self._with_layer(record, layer)
        except ModelError as error:
            self._report(self._root, f"{_short(error)}: the one before stays")
            return None
        for layer in reversed(self.layers.values()) if choice.follow else ():
            if layer.champion != choice.champion:
                continue
            try:
                return self._with_layer(record, layer)
            except ModelError as error:
                self._report(key_of(layer), f"{_short(error)}: the one before stays")
        return bare

    def _load(self, record: ModelRecord) -> RiskModel:
        at = (record.version, self._offset(record))
        if at not in self._loaded:
            model = replace(self.load(record.contents()), version=record.version)
            while len(self._loaded) >= _LOADED:
                del self._loaded[next(iter(self._loaded))]
            self._loaded[at] = model
        return self._loaded[at]

    def _with_layer(self, record: ModelRecord, layer: LayerRecord) -> RiskModel:
        at = (self._offset(record), self._offset(layer))
        if self._relearned is not None and self._relearned[0] == at:
            return self._relearned[1]
        model = self._load(record)
        if not isinstance(model, ForestModel):
            raise ModelError(f"{record.version!r} has no leaves that a layer could be of")
        try:
            made = model.with_leaves(
                layer.leaves(),
                version=layer.scoring_version(),
                threshold=layer.threshold,
                tiers=Tiers(**layer.tiers.model_dump()),
            )
        except ValueError as error:
            raise ModelError(f"layer {layer.version!r} does not fit: {error}") from error
        self._relearned = (at, made)
        return made

    # -- moving

    def _move(
        self,
        action: Literal["start", "promote", "rollback"],
        champion: str,
        layer: str | None,
        follow: bool,
        **audit: Any,
    ) -> ModelPointer:
        now = self.pointer
        scoring = self.active()
        from_champion, from_layer = (None, None) if scoring is None else _parts(scoring.version)
        return ModelPointer(
            site=self.site,
            serial=1 if now is None else now.serial + 1,
            champion=champion,
            layer=layer,
            follow=follow,
            action=action,
            from_champion=from_champion,
            from_layer=from_layer,
            history=[] if now is None else [now.as_move(), *now.history][:HISTORY],
            **audit,
        )

    def _before(self) -> PointerMove:
        """The move that a rollback without a version goes back to."""
        now = self.pointer
        if now is None:
            raise ModelError(f"site {self.site!r} has no pointer: promote a version")
        moves = list(now.history)
        if now.action == "rollback":
            # it went back to a move: on from there, or the next rollback would undo this one
            while moves and (moves[0].action == "rollback" or moves[0].champion != now.champion):
                moves.pop(0)
            moves = moves[1:]
        moves = [move for move in moves if move.champion in self.champions]
        if not moves:
            raise ModelError(
                f"nothing is known from before {now.champion!r} at site {self.site!r}: name a "
                "version; `vigil model list` shows them"
            )
        return moves[0]


def _parts(version: str) -> tuple[str, str | None]:
    champion, _, layer = version.partition("+")
    return champion, layer or None


def _short(error: ValueError | ModelError) -> str:
    """What is wrong, on one line, without the value: it may be megabytes."""
    if isinstance(error, ValidationError):
        first = error.errors(include_input=False, include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        return f"{where}: {first['msg']}" if where else first["msg"]
    return " ".join(str(error).split())[:300]
