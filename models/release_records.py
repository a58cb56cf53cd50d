"""What is on the wire of the topic ``models``: models, layers and the pointer.

==============================  ==================  ===========================================
key                             value               what
==============================  ==================  ===========================================
``<site>/champion/<version>``   `ModelRecord`       a model folder that may score
``<site>/challenger/<version>`` `ModelRecord`       a model folder that scores in the shadow
``<site>/layer/<c>+<version>``  `LayerRecord`       leaf values that champion c learned online
``<site>/shadow/<version>``     `ShadowRecord`      how a challenger does beside what scores
``<site>``                      `ModelPointer`      which of them score, since when, who and why
==============================  ==================  ===========================================

Models and layers are immutable. A pointer replaces the one before and carries the moves that led
to it, so that a compacted topic keeps its history; a record without a value takes one away.
`models.releases` builds what a reader needs from them. `streams.events` shows these models among
the other events.
"""

import base64
import hashlib
from typing import Annotated, Any, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, RootModel

from models.risk import Tiers

__all__ = [
    "HISTORY",
    "AnyRecord",
    "LayerRecord",
    "ModelEvent",
    "ModelPointer",
    "ModelRecord",
    "PointerMove",
    "ShadowRecord",
    "TierRecord",
    "key_of",
]

#: Moves of the pointer that it carries.
HISTORY = 100

Site = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,62}$")]
Version = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,126}$")]


class _Record(BaseModel):
    model_config = ConfigDict(strict=True, frozen=True, extra="ignore", allow_inf_nan=False)


class ModelRecord(_Record):
    """A model folder: one that may score, or one that scores in the shadow."""

    kind: Literal["champion", "challenger"]
    site: Site
    version: Version
    created_at: AwareDatetime
    who: str = Field(description="Person or program that published it.")
    why: str
    files: dict[str, str] = Field(
        description="The model folder's files, base64; manifest.json has the SHA-256 of the others."
    )
    facts: dict[str, Any] = Field(
        default_factory=dict, description="Data's span and hash, MLflow run, figures."
    )

    def contents(self) -> dict[str, bytes]:
        """The files of the model folder.

        Raises:
            ValueError: a file is not base64.
        """
        return {name: _decoded(text, name) for name, text in self.files.items()}

    @classmethod
    def of(cls, files: dict[str, bytes], **fields: Any) -> Self:
        """Make a record of a model folder's files."""
        return cls(files={name: _encoded(content) for name, content in files.items()}, **fields)


class TierRecord(_Record):
    """Lowest probability of each tier."""

    watch: float
    warning: float
    urgent: float


class LayerRecord(_Record):
    """New leaf values of a champion's trees, learned at a site."""

    kind: Literal["layer"] = "layer"
    site: Site
    version: Version = Field(description="Number of the layer; of this champion only.")
    champion: Version = Field(description="Whose leaves these are.")
    created_at: AwareDatetime
    values: str = Field(
        description="Log-odds of every leaf, little-endian float64, base64, in the champion's order"
    )
    sha256: str = Field(description="Of the bytes of `values`, hexadecimal.")
    threshold: float = Field(description="Probability from which an hour counts as an alarm.")
    tiers: TierRecord
    stays: int = Field(ge=0, description="Stays learned from so far.")
    examples: int = Field(ge=0, description="Examples learned from so far.")
    facts: dict[str, Any] = Field(default_factory=dict)

    def leaves(self) -> NDArray[np.float64]:
        """The leaf values, shape [leaves].

        Raises:
            ValueError: they are not what was published, or not finite.
        """
        raw = _decoded(self.values, "values")
        if hashlib.sha256(raw).hexdigest() != self.sha256:
            raise ValueError("values are not those of sha256")
        if len(raw) % 8:
            raise ValueError(f"values are {len(raw)} bytes, not a multiple of 8")
        values = np.frombuffer(raw, "<f8").astype(np.float64)
        if not np.isfinite(values).all():
            raise ValueError("a leaf value is not finite")
        return values

    def scoring_version(self) -> str:
        """Version of the model that scores with this layer."""
        return f"{self.champion}+{self.version}"

    @classmethod
    def of(
        cls,
        values: NDArray[np.float64],
        *,
        tiers: Tiers,
        **fields: Any,
    ) -> Self:
        """Make a record of leaf values."""
        raw = np.ascontiguousarray(values, "<f8").tobytes()
        return cls(
            values=_encoded(raw),
            sha256=hashlib.sha256(raw).hexdigest(),
            tiers=TierRecord(**tiers._asdict()),
            **fields,
        )


class PointerMove(_Record):
    """One move of the pointer: who, why, when, to what."""

    serial: int = Field(description="All as above, of that move.")
    champion: Version = Field(description="Which scored then.")
    layer: Version | None = Field(description="The one that was named then.")
    follow: bool = Field(description="Whether newer ones took over.")
    action: Literal["start", "promote", "rollback"] = Field(description="What kind of move.")
    who: str = Field(description="Who made it.")
    why: str = Field(description="In that person's words.")
    at: AwareDatetime = Field(description="When.")
    forced: bool = Field(False, description="Whether the rule was overruled.")


class ModelPointer(_Record):
    """Which model of a site scores."""

    kind: Literal["pointer"] = Field("pointer", description="`pointer`.")
    site: Site = Field(description="Hospital; the key, too.")
    serial: int = Field(ge=1, description="One more than that of the pointer before.")
    champion: Version = Field(description="The model that scores; its record is on the topic.")
    layer: Version | None = Field(
        None, description="Leaf values to score with; null with `follow` = the newest there are."
    )
    follow: bool = Field(
        True, description="Whether newer layers of this champion take over as they are learned."
    )
    action: Literal["start", "promote", "rollback"] = Field(
        description="A site's first, a promotion, or a way back."
    )
    who: str = Field(description="Person or program that decided.")
    why: str = Field(description="In words.")
    at: AwareDatetime = Field(description="When; wall clock.")
    from_champion: Version | None = Field(
        None, description="What scored before; null = what was chosen without a pointer."
    )
    from_layer: Version | None = Field(None, description="And its layer.")
    forced: bool = Field(False, description="Whether the rule of promotion was overruled.")
    evidence: dict[str, Any] = Field(
        default_factory=dict, description="Figures that the move was decided on."
    )
    history: list[PointerMove] = Field(
        default_factory=list, description="Moves before this one, the newest first."
    )

    def as_move(self) -> PointerMove:
        """This pointer as a line of the next one's history."""
        return PointerMove(**{name: getattr(self, name) for name in PointerMove.model_fields})


class ShadowRecord(_Record):
    """How a challenger does in the shadow, on stays that ended since it was trained."""

    kind: Literal["shadow"] = "shadow"
    site: Site
    version: Version = Field(description="Of the challenger.")
    champion: Version = Field(description="What scored meanwhile.")
    at: AwareDatetime
    state: str = Field(description="`models.shadow.Shadow.encode`, base64.")
    figures: dict[str, Any] = Field(default_factory=dict, description="The same for people.")

    def content(self) -> bytes:
        """The encoded shadow.

        Raises:
            ValueError: it is not base64.
        """
        return _decoded(self.state, "state")

    @classmethod
    def of(cls, state: bytes, **fields: Any) -> Self:
        """Make a record of an encoded shadow."""
        return cls(state=_encoded(state), **fields)


AnyRecord = ModelRecord | LayerRecord | ShadowRecord | ModelPointer


class ModelEvent(RootModel[Annotated[AnyRecord, Field(discriminator="kind")]]):
    """A value of the topic ``models``; the key is `key_of` it."""


def key_of(record: AnyRecord) -> bytes:
    """Key of a record.

    >>> key_of(ModelPointer.model_construct(site="icu"))
    b'icu'
    """
    if isinstance(record, ModelPointer):
        return record.site.encode()
    if isinstance(record, LayerRecord):
        return f"{record.site}/{record.kind}/{record.scoring_version()}".encode()
    return f"{record.site}/{record.kind}/{record.version}".encode()


def _encoded(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


def _decoded(text: str, what: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except ValueError as error:
        raise ValueError(f"{what} is not base64: {error}") from None
