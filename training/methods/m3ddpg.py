"""M3DDPG (Li et al. 2019): MADDPG in which every agent expects the worst of all others.

The inner minimum over the others' actions is taken by one step down the gradient of the agent's own
critic, in the critic's target and in the policy's loss alike (equations 9 to 12).
"""

import torch
from torch import Tensor, nn

from training.methods.maddpg import Maddpg
from training.team import JointCritic


class M3ddpg(Maddpg):
    """Each agent's critic knows what all did, and doubts everybody else."""

    title = "M3DDPG"

    def suspected(self, critic: JointCritic, state: Tensor, assumed: Tensor) -> Tensor:
        """a^j - alpha g^j / |g^j| with g^j = ∇_{a^j} Q^i, for every j but i, (M, N, N, A).

        alpha is the setting `perturbation`. No gradient passes through the change itself.
        """
        with torch.enable_grad():
            probe = assumed.detach().requires_grad_()
            (slope,) = torch.autograd.grad(critic(state, probe).sum(), probe)
        change = -self.recipe.replay.perturbation * nn.functional.normalize(slope, dim=-1)
        return self.actions.inside(assumed + change.masked_fill(self._own, 0.0))
