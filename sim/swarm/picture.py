"""The coverage world as a scene."""

from typing import Any

from numpy.typing import NDArray

from sim.scene import Disc, Scene
from sim.swarm.coverage import CoverageSim


def coverage_scene(sim: CoverageSim, types: NDArray[Any], index: int) -> Scene:
    """Arena `index`: sites as large as robots serve them from, robots with their heading.

    Parameters
    ----------
    types
        The robots' present types, (N,): 0 cooperative.
    """
    reach = sim.world.arena
    served = sim.served_by[index] >= 0
    scene = Scene(
        (-reach, -reach, reach, reach),
        captions=(f"{sim.time_s:.1f} s", f"{served.sum()} of {served.size} sites served"),
    )
    for (x, y), done in zip(sim.sites[index].tolist(), served, strict=True):
        scene.items.append(Disc((x, y), sim.task.serve_radius, "done" if done else "goal"))
    for i, (x, y, yaw) in enumerate(sim.poses[index].tolist()):
        role = "faulty" if types[i] else "agent"
        scene.items.append(Disc((x, y), sim.world.robot_radius, role, str(i), heading=yaw))
    return scene
