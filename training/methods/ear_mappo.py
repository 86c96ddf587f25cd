"""EAR-MAPPO: *ex ante* robust MAPPO (Li et al. 2024), and the same with a memory.

The team learns against faults that nature draws from the prior p(θ), the learned adversary among
them, and knows nothing of who is corrupted.
"""

from collections.abc import Callable

from torch import Tensor

from training.game import Game
from training.learner import Metrics, adam
from training.methods.mappo import Mappo
from training.ppo import Targets
from training.recipe import Recipe
from training.rollout import Rollout
from training.team import BeliefSource, Team


class EarMappo(Mappo):
    """Robust under the prior, without belief or memory."""

    title = "EAR-MAPPO"
    attacked = True

    def learn(self, rollout: Rollout, targets: Targets, progress: float) -> Metrics:
        """MAPPO on the decisions of healthy agents, and the adversary on its own."""
        metrics = super().learn(rollout, targets, progress)
        settings = self.recipe.adversary
        return metrics | self.update_adversary(rollout, targets, progress, settings)


class RecurrentEarMappo(EarMappo):
    """The memory of EIR-MAPPO, trained by the policy loss alone: separates belief from memory.

    What it calls a belief is part of the policy, a latent that may mean anything. So it is never
    replaced by true types, and it is run again, with gradients, whenever the policy learns.
    """

    title = "recurrent EAR-MAPPO"
    source = BeliefSource.LATENT

    def __init__(self, recipe: Recipe, game: Game) -> None:
        super().__init__(recipe, game)
        self.optimisers["policy"] = adam(self.team.actor, self.team.belief)

    def policy_inputs(self, rollout: Rollout) -> Callable[[Tensor], Tensor]:
        """The same with the memory, which learns along, in the graph."""
        return inputs_through_memory(self.team, rollout)


def inputs_through_memory(team: Team, rollout: Rollout) -> Callable[[Tensor], Tensor]:
    """`Mappo.policy_inputs` for a policy whose loss trains the belief network, too."""
    log_beliefs = team.run_again(rollout.observation, rollout.fresh)

    def inputs(envs: Tensor) -> Tensor:
        log_belief, memory = log_beliefs(envs)
        observation = rollout.observation.index_select(1, envs)
        return team.read(team.actor_input(observation, log_belief.exp()), memory)

    return inputs
