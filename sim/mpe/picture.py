"""The particle worlds as scenes."""

from typing import Any

import numpy as np

from sim.mpe.particles import world_of
from sim.scene import Box, Disc, Line, Scene

#: Half the side of what is shown; particles may leave it, for mpe2 has no walls.
_REACH = 1.5
#: A landmark of `simple_spread` is drawn so large, and as covered while an agent's centre is on
#: it: the distance of mpe2's `terminate_on_success`.
_COVERED = 0.1
_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


def spread_scene(env: Any) -> Scene:
    """Agents, and landmarks that are covered or not."""
    world = world_of(env)
    scene = _empty(env)
    scene.items.extend(_agents(world.agents, "agent"))
    covered = 0
    for mark in world.landmarks:
        near = min(_distance(mark, agent) for agent in world.agents) < _COVERED
        covered += near
        scene.items.append(Disc(_place(mark), _COVERED, "done" if near else "goal"))
    return _captioned(scene, f"{covered} of {len(world.landmarks)} landmarks covered")


def tag_scene(env: Any) -> Scene:
    """Hunters, prey and obstacles."""
    world = world_of(env)
    scene = _empty(env)
    scene.items.extend(_disc(obstacle, "wall") for obstacle in world.landmarks)
    hunters = [agent for agent in world.agents if agent.adversary]
    prey = [agent for agent in world.agents if not agent.adversary]
    scene.items.extend(_disc(agent, "opponent") for agent in prey)
    scene.items.extend(_agents(hunters, "agent"))
    touching = sum(_distance(a, b) < a.size + b.size for a in hunters for b in prey)
    return _captioned(scene, f"{touching} hunters touch the prey")


def reference_scene(env: Any) -> Scene:
    """Two agents, where each shall go, and what each says."""
    world = world_of(env)
    scene = _empty(env)
    words = []
    for i, agent in enumerate(world.agents):
        goal = world.agents[1 - i].goal_b  # only the other one knows it
        scene.items.append(Line((_place(agent), _place(goal))))
        word = int(np.argmax(agent.state.c)) if np.any(agent.state.c) else None
        words.append(f"{i} says " + ("nothing" if word is None else f"word {word}"))
    for mark, letter in zip(world.landmarks, _LETTERS, strict=False):
        x, y = _place(mark)
        scene.items.append(Box((x, y), (0.2, 0.2), "goal", label=letter))
    scene.items.extend(_agents(world.agents, "agent", radius=0.09))
    return _captioned(scene, *words, "a line leads to where each shall go")


def _empty(env: Any) -> Scene:
    return Scene((-_REACH, -_REACH, _REACH, _REACH), [], (f"step {env.unwrapped.steps}",))


def _captioned(scene: Scene, *lines: str) -> Scene:
    return Scene(scene.bounds, scene.items, (*scene.captions, *lines))


def _agents(agents: list[Any], role: str, radius: float = 0.0) -> list[Disc]:
    return [
        Disc(_place(agent), radius or float(agent.size), role, str(i), agent=i)
        for i, agent in enumerate(agents)
    ]


def _disc(entity: Any, role: str) -> Disc:
    return Disc(_place(entity), float(entity.size), role)


def _place(entity: Any) -> tuple[float, float]:
    x, y = entity.state.p_pos
    return float(x), float(y)


def _distance(a: Any, b: Any) -> float:
    return float(np.hypot(*(a.state.p_pos - b.state.p_pos)))
