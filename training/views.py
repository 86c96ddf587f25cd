"""What networks read off an observation, for any world and, in more detail, for coverage.

All of it is computed inside the exported graph, so robots feed raw SI units.
"""

from abc import abstractmethod

import torch
from torch import Tensor, nn

from eir_ros.contract.coverage import CoverageTask
from eir_ros.contract.drive import SwarmTask
from eir_ros.contract.types import COOPERATIVE
from training.game import Game, Shape

#: Lengths over which being near a site stops counting [m]: at the site, and on the way to it.
CLOSENESS_SCALES = (0.5, 2.0)
#: The belief looks at this many sites around a teammate, nearest to that teammate first.
SITES_PER_TEAMMATE = 3
#: Numbers that describe one teammate at one decision of the coverage task.
PAIR_SIZE = 8 + 8 * SITES_PER_TEAMMATE


class View(nn.Module):
    """Turns observations (..., D) into the inputs of actor, adversary and belief.

    Attributes
    ----------
    pair_size
        Numbers of the evidence about one teammate.
    """

    pair_size: int

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        self.num_teammates = shape.num_agents - 1

    def actor_size(self, num_types: int) -> int:
        """Numbers that an actor reads."""
        return self.shape.observation + self.num_teammates * num_types

    def actor_input(self, observation: Tensor, belief: Tensor) -> Tensor:
        """Observation (..., D) and belief (..., N-1, K+1), side by side."""
        return torch.cat([observation, belief.flatten(-2)], dim=-1)

    @property
    def adversary_size(self) -> int:
        """Numbers that an adversary reads."""
        return self.shape.observation + self.shape.num_agents

    def adversary_input(self, observation: Tensor, types: Tensor) -> Tensor:
        """Observation (..., D) and who is corrupted (..., N), side by side."""
        return torch.cat([observation, types], dim=-1)

    @abstractmethod
    def pairs(self, observation: Tensor) -> Tensor:
        """Evidence about each teammate, (..., N-1, pair_size)."""

    def visible(self, observation: Tensor) -> Tensor | None:
        """Which teammates there is evidence about, (..., N-1) bool; None where about all."""
        return None


class PlainView(View):
    """Observations as they are; teammates are told apart by their own columns.

    The evidence about a teammate is everything that is not about one of the others, so its size
    does not depend on the team's, unless the rest of the observation does.

    Parameters
    ----------
    visible
        Place of the column, among a teammate's own, that says whether it is seen; None: always.
    """

    rest: Tensor
    own: Tensor

    def __init__(self, shape: Shape, visible: int | None = None) -> None:
        super().__init__(shape)
        described = {column for columns in shape.teammate_columns for column in columns}
        rest = [k for k in range(shape.observation) if k not in described]
        self.register_buffer("rest", torch.tensor(rest, dtype=torch.long), persistent=False)
        own = torch.tensor(shape.teammate_columns, dtype=torch.long)
        self.register_buffer("own", own.reshape(self.num_teammates, -1), persistent=False)
        self.pair_size = len(rest) + self.own.shape[1]
        self._visible = visible

    def pairs(self, observation: Tensor) -> Tensor:
        """The rest of the observation and the teammate's columns, (..., N-1, pair_size)."""
        rest = observation[..., self.rest].unsqueeze(-2)
        rest = rest.expand(*rest.shape[:-2], self.num_teammates, rest.shape[-1])
        return torch.cat([rest, observation[..., self.own]], dim=-1)

    def visible(self, observation: Tensor) -> Tensor | None:
        """Which teammates are seen, (..., N-1) bool."""
        if self._visible is None:
            return None
        return observation[..., self.own[:, self._visible]] > 0.5


class CoverageView(View):
    """Relates robots to the sites of the coverage task.

    The observer's own frame (relative positions, map axes) is used throughout.
    """

    pair_size = PAIR_SIZE

    def __init__(self, shape: Shape, task: CoverageTask) -> None:
        super().__init__(shape)
        self.num_sites = task.num_sites
        self._slices = task.layout.slices()
        self._max_speed = task.max_speed
        self._serve_radius = task.serve_radius

    def actor_size(self, num_types: int) -> int:
        """Numbers that an actor reads."""
        places = self.num_sites * len(CLOSENESS_SCALES)
        return super().actor_size(num_types) + (self.num_teammates + 2) * places

    def actor_input(self, observation: Tensor, belief: Tensor) -> Tensor:
        """Observation, belief, and how close *trusted* teammates are to each site.

        Parameters
        ----------
        observation : (..., D)
        belief : (..., N-1, K+1)
            Probabilities of the types of each teammate.
        """
        own, others = self.closeness(observation)
        trusted = others * belief[..., COOPERATIVE : COOPERATIVE + 1]
        covered = trusted.amax(-2)
        blocks = [observation, belief.flatten(-2), trusted.flatten(-2), covered, own]
        return torch.cat(blocks, dim=-1)

    @property
    def adversary_size(self) -> int:
        """Numbers that an adversary reads."""
        places = self.num_sites * len(CLOSENESS_SCALES)
        return super().adversary_size + self.shape.num_agents * places

    def adversary_input(self, observation: Tensor, types: Tensor) -> Tensor:
        """Observation (..., D), who is corrupted (..., N) and every robot's closeness to sites."""
        own, others = self.closeness(observation)
        return torch.cat([observation, types, own, others.flatten(-2)], dim=-1)

    def visible(self, observation: Tensor) -> Tensor:
        """Which teammates are tracked, (..., N-1) bool: looking away is no alibi."""
        return self.split(observation, "teammate_visible") > 0.5

    def split(self, observation: Tensor, name: str, *shape: int) -> Tensor:
        """The block `name`, reshaped to (..., *shape)."""
        block = observation[..., self._slices[name]]
        return block.reshape(*block.shape[:-1], *shape) if shape else block

    def closeness(self, observation: Tensor) -> tuple[Tensor, Tensor]:
        """exp(-d / scale) for each of S scales: how near robots are to sites.

        Returns
        -------
        own : (..., S * M)
            Of the observer.
        others : (..., N-1, S * M)
            Of its teammates; zero where one is not visible.
        """
        own, gap = self._distances(observation)
        visible = self.split(observation, "teammate_visible").unsqueeze(-1)
        return _nearness(own), _nearness(gap) * visible

    def _distances(self, observation: Tensor) -> tuple[Tensor, Tensor]:
        """Distance [m] to every site of the observer (..., M) and its teammates (..., N-1, M)."""
        sites = self.split(observation, "sites", self.num_sites, 2)
        mates = self.split(observation, "teammate_position", self.num_teammates, 2)
        return _norm(sites), _norm(mates.unsqueeze(-2) - sites.unsqueeze(-3))

    def pairs(self, observation: Tensor) -> Tensor:
        """Evidence about each teammate, (..., N-1, PAIR_SIZE).

        How it moves, and for the sites nearest to it: where they are, how it moves relative to
        them, whether this robot reads them as served, and whether anybody else might be serving
        them. Nothing depends on the size of the team, so the belief runs in any.
        """
        n, m = self.num_teammates, self.num_sites
        sites = self.split(observation, "sites", m, 2)
        mates = self.split(observation, "teammate_position", n, 2)
        moving = self.split(observation, "teammate_velocity", n, 2) / self._max_speed
        visible = self.split(observation, "teammate_visible").unsqueeze(-1)
        reading = (
            (2 * self.split(observation, "served") - 1).unsqueeze(-2).expand(*mates.shape[:-1], m)
        )
        own, others = (torch.exp(-d / CLOSENESS_SCALES[0]) for d in self._distances(observation))
        others = others * visible

        to_site = sites.unsqueeze(-3) - mates.unsqueeze(-2)
        gap = _norm(to_site)
        toward = (to_site * moving.unsqueeze(-2)).sum(-1) / (gap + 1e-3)
        near = torch.exp(-gap / CLOSENESS_SCALES[0])
        rival = self._rivals(own, others)
        inside = torch.sigmoid((self._serve_radius + 0.02 - gap) / 0.03)
        per_site = torch.stack(
            [gap, near, toward, reading, inside * reading, inside * reading * (1 - rival),
             rival, rival * reading],
            dim=-1,
        )  # fmt: skip
        rank = gap.argsort(dim=-1)[..., :SITES_PER_TEAMMATE]
        per_site = per_site.gather(-2, rank.unsqueeze(-1).expand(*rank.shape, per_site.shape[-1]))
        per_site = per_site.flatten(-2)
        if m < SITES_PER_TEAMMATE:
            blank = (SITES_PER_TEAMMATE - m) * 8
            per_site = nn.functional.pad(per_site, (0, blank))

        place = mates + self.split(observation, "position").unsqueeze(-2)
        crowd = _norm(mates)
        alone = [place, moving, _norm(moving).unsqueeze(-1), crowd.unsqueeze(-1), visible]
        free = (1 - own).amin(-1, keepdim=True).unsqueeze(-2).expand(*mates.shape[:-1], 1)
        return torch.cat([*alone, free, per_site], dim=-1) * visible

    def _rivals(self, own: Tensor, others: Tensor) -> Tensor:
        """Closeness of the nearest robot but j to each site, for every teammate j, (..., N-1, M).

        The largest of all but j's own is the runner-up where j itself leads.
        """
        everyone = torch.cat([own.unsqueeze(-2), others], dim=-2)
        top = everyone.topk(2, dim=-2).values
        leads = others >= top[..., :1, :]
        return torch.where(leads, top[..., 1:, :], top[..., :1, :])


def _nearness(distance: Tensor) -> Tensor:
    return torch.cat([torch.exp(-distance / scale) for scale in CLOSENESS_SCALES], dim=-1)


def _norm(vectors: Tensor) -> Tensor:
    return torch.sqrt(vectors.square().sum(-1) + 1e-8)


def view_of(game: Game) -> View:
    """What networks read off the observations of `game`."""
    shape, task = game.shape, getattr(game.env, "task", None)
    if isinstance(task, CoverageTask):
        return CoverageView(shape, task)
    # the last of a robot's columns, see `SwarmEnv.teammate_columns`
    return PlainView(shape, visible=-1 if isinstance(task, SwarmTask) else None)
