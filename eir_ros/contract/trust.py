"""The words of the ladder of trust, and when its steps are taken; `safety.trust` has the rules."""

from enum import IntEnum

from pydantic import Field as Setting
from pydantic import model_validator

from eir_ros.contract.config import Schema
from eir_ros.contract.errors import EirError

#: Gives a teammate back to the rules, where an operator names a level.
AUTO = "auto"


class Level(IntEnum):
    """What a robot does about a teammate; more caution with each."""

    #: Nothing: it counts on it.
    COOPERATE = 0
    #: The policy weighs it by the belief, as it has been trained to; people are told.
    DISCOUNT = 1
    #: It acts as if it were certain, goes to no place of this teammate's, and keeps a distance.
    QUARANTINE = 2
    #: It stands until the operator says otherwise.
    HOLD = 3

    @property
    def word(self) -> str:
        """The level as written in orders and shown on pages."""
        return self.name.lower()

    @classmethod
    def parse(cls, word: str) -> "Level":
        """The level of that name; `EirError` lists the valid names."""
        try:
            return cls[word.strip().upper()]
        except KeyError:
            known = ", ".join([*(level.word for level in cls), AUTO])
            raise EirError(f"unknown level of trust '{word}'; expected one of {known}.") from None


def parse_order(text: str) -> tuple[str, Level | None, str]:
    """Read `TEAMMATE=LEVEL: REASON`, an operator's word; a level of None is `auto`.

    Raises
    ------
    EirError
        The text has another form, the level is unknown, or there is no reason.
    """
    order, colon, reason = text.partition(":")
    name, equals, word = (part.strip() for part in order.partition("="))
    if not (colon and equals and name and word):
        raise EirError(
            f"'{text}' is not of the form TEAMMATE=LEVEL: REASON, for example r2=quarantine: smoke."
        )
    if not reason.strip():
        raise EirError("an operator's order about trust needs a reason; it goes on record.")
    return name, None if word == AUTO else Level.parse(word), reason.strip()


class LadderSettings(Schema):
    """When a step is taken. Beliefs are p(adversary)."""

    #: At or above it for `up_s` a teammate is discounted.
    discount_at: float = Setting(0.5, gt=0, lt=1)
    #: At or above it for `up_s` it is quarantined; 0: the threshold of the bundle.
    quarantine_at: float = Setting(0.0, ge=0, lt=1)
    #: At or below it for `down_s` it comes down a rung.
    release_at: float = Setting(0.2, gt=0, lt=1)
    #: [s]
    up_s: float = Setting(0.6, ge=0, le=60)
    down_s: float = Setting(5.0, ge=0, le=600)
    #: Stand when more teammates are suspected than may be quarantined.
    hold_when_outnumbered: bool = False

    @model_validator(mode="after")
    def _apart(self) -> "LadderSettings":
        highest = self.quarantine_at or 1.0
        if not self.release_at < self.discount_at <= highest:
            raise ValueError(
                f"release_at {self.release_at:g}, discount_at {self.discount_at:g} and "
                f"quarantine_at {highest:g} shall rise in this order: without room in between, "
                "trust would come and go"
            )
        return self
