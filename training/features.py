"""What the networks read off an observation: closeness to sites, and evidence about teammates.

All of it is computed inside the exported graph, so robots feed raw SI units.
"""

import torch
from torch import Tensor, nn

from eir_ros.contract.coverage import CoverageTask

#: Lengths over which being near a site stops counting [m]: at the site, and on the way to it.
CLOSENESS_SCALES = (0.5, 2.0)
#: The belief looks at this many sites around a teammate, nearest to that teammate first.
SITES_PER_TEAMMATE = 3
#: Numbers that describe one teammate at one decision.
PAIR_SIZE = 8 + 8 * SITES_PER_TEAMMATE


class CoverageFeatures(nn.Module):
    """Splits an observation (..., D) by the layout and relates robots to sites.

    The observer's own frame (relative positions, map axes) is used throughout.
    """

    def __init__(self, task: CoverageTask) -> None:
        super().__init__()
        self.num_sites = task.num_sites
        self.num_teammates = task.num_robots - 1
        self._slices = task.layout.slices()
        self._max_speed = task.max_speed
        self._serve_radius = task.serve_radius

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
