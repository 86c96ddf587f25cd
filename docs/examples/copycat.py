"""An attack of one's own: a corrupted agent that copies what its neighbour is about to do."""

from typing import ClassVar

from pydantic import Field
from torch import Tensor

from training.attacks.base import Attack, Moment, legal


class Copycat(Attack):
    """The attacked agent does what the agent beside it does, from some moment on."""

    title: ClassVar[str] = "copycat"
    sees: ClassVar[str] = "policy"

    #: Share of the episode after which it begins.
    after: float = Field(0.2, ge=0, lt=1)

    def onset(self, steps: int) -> int:
        """It is corrupted from here on."""
        return int(self.after * steps)

    def act(self, moment: Moment) -> Tensor:
        """The action that the next agent has just decided on, where it is possible."""
        assert moment.action is not None
        return legal(moment.action.roll(-1, dims=1), moment.available)
