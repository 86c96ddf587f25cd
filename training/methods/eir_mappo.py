"""EIR-MAPPO: *ex interim* robust MAPPO (Li et al. 2024, sections 3 and 4).

Every agent keeps a belief b^i = p(θ | H^i) over its teammates' types and acts on it; the belief is
learned from the types that nature really drew, which only training knows.

The paper's policy is π(a | H^i, b^i). There is one memory here, that of the belief, and what the
actor has of it is the recipe's choice: b^i alone; b^i that the policy's loss trains, too
(`belief.joint`); or the memory as well (`belief.actor: memory`).
"""

from collections.abc import Callable

from torch import Tensor

from training import ranks
from training.game import Game
from training.learner import Metrics, adam
from training.methods.ear_mappo import EarMappo, inputs_through_memory
from training.ppo import Targets
from training.recipe import Recipe
from training.rollout import Rollout
from training.team import BeliefSource


class EirMappo(EarMappo):
    """Robust under the belief."""

    title = "EIR-MAPPO"
    source = BeliefSource.LEARNED

    def __init__(self, recipe: Recipe, game: Game) -> None:
        super().__init__(recipe, game)
        if recipe.belief.joint:
            self.optimisers["policy"] = adam(self.team.actor, self.team.belief)
        self.optimisers["belief"] = adam(self.team.belief)

    def learn(self, rollout: Rollout, targets: Targets, progress: float) -> Metrics:
        """EAR-MAPPO with an actor that reads the belief; then the belief itself."""
        metrics = super().learn(rollout, targets, progress)
        return metrics | self.update_belief(rollout, progress)

    def policy_inputs(self, rollout: Rollout) -> Callable[[Tensor], Tensor]:
        """With the beliefs that acted; `joint`: with the network that they are of, in the graph."""
        if self.recipe.belief.joint:
            return inputs_through_memory(self.team, rollout)
        return super().policy_inputs(rollout)

    def update_belief(self, rollout: Rollout, progress: float) -> Metrics:
        """Cross-entropy to the true types over whole episodes, for healthy observers.

        It comes after the policy's update, whose ratio is to the beliefs that acted.
        """
        settings, labels = self.recipe.belief, rollout.teammate_types
        observers = ((rollout.types == 0).float() * rollout.chosen).unsqueeze(-1)
        observers = observers.expand(labels.shape)
        log_beliefs = self.team.run_again(rollout.observation, rollout.fresh)
        for envs in self.minibatches(settings):
            label, mask = labels.index_select(1, envs), observers.index_select(1, envs)
            log_belief, _ = log_beliefs(envs)
            surprise = -log_belief.gather(-1, label.unsqueeze(-1)).squeeze(-1)
            loss = (surprise * mask).sum() / ranks.total(mask.sum()).clamp(min=1)
            self.descend("belief", loss, settings, progress)
        right = (log_belief.argmax(-1) == label).float()
        accuracy = ranks.total((right * mask).sum()) / ranks.total(mask.sum()).clamp(min=1)
        return {"belief/loss": ranks.total(loss).item(), "belief/accuracy": accuracy.item()}
