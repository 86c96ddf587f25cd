"""`eir play ENV`: draw an episode."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from eir_ros.faults.schedule import Schedule


def play(
    name: Annotated[str, typer.Argument(metavar="ENV", help="Name of a world; see `eir envs`.")],
    out: Annotated[Path, typer.Option(help="File to write: .gif, .mp4, or .png for six moments.")],
    bundle: Annotated[
        Path | None,
        typer.Option(help="Folder of the signed team that plays. Default: random play."),
    ] = None,
    random: Annotated[bool, typer.Option("--random", help="Everybody acts at random.")] = False,
    fault: Annotated[
        list[str] | None,
        typer.Option(help="ROBOT:KIND[@START], in a swarm; may be repeated.", metavar="FAULT"),
    ] = None,
    option: Annotated[
        list[str] | None,
        typer.Option(help="NAME=VALUE, an option of the world; may be repeated.", metavar="OPTION"),
    ] = None,
    camera: Annotated[
        bool, typer.Option("--camera", help="Seen at an angle by PyBullet's camera; swarms only.")
    ] = False,
    seed: Annotated[int, typer.Option(min=0)] = 0,
    steps: Annotated[
        int | None, typer.Option(min=1, help="Stop after so many. Default: when the episode ends.")
    ] = None,
    fps: Annotated[float, typer.Option(min=0.1, max=60, help="Frames per second.")] = 5.0,
    trusted_keys: Annotated[
        Path | None, typer.Option(help="Folder of public keys that may sign the bundle.")
    ] = None,
) -> None:
    """Play one episode, draw it, and keep it as a picture or a film.

    Types are shown as they are; with a bundle, so is who suspects whom.
    """
    from rich.console import Console

    import sim
    from eir_ros.contract.errors import EirError
    from sim.drawing import FROM_ABOVE
    from sim.episode import random_decisions, record
    from sim.movie import check_output, save

    if bundle and random:
        raise EirError("--bundle and --random were both given; choose one of them.")
    if fault and not name.startswith("swarm-"):
        raise EirError(f"'{name}' has no robots that --fault could break; leave it out.")
    if camera and not name.startswith("swarm-"):
        raise EirError(f"'{name}' is not in PyBullet, where --camera is; leave it out.")
    check_output(out)
    options = dict(_option(text) for text in option or ())
    if bundle:
        signed = _load(bundle, trusted_keys, name)
        options["task"] = signed.manifest.task
    with Console(stderr=True).status(f"playing {name}", spinner="line"):
        env: Any = sim.make(name, seed=seed, **options)
        if fault:
            observation = env.reset(seed, _schedule(fault, env.num_agents))
        else:
            observation = env.reset(seed)
        decide = _team_decisions(env, signed, seed) if bundle else random_decisions(env, seed)
        frames = record(env, observation, decide, steps)
        env.close()
        save(frames, out, fps, env.camera() if camera else FROM_ABOVE)
    ending = frames[-1].scene.captions[-1]
    Console().print(f"{len(frames)} frames in {out}: {ending}", soft_wrap=True, highlight=False)


def _load(path: Path, trusted_keys: Path | None, name: str) -> Any:
    from eir_ros.contract.errors import EirError
    from eir_ros.policy.bundle import load_bundle

    loaded = load_bundle(path, trusted_keys=trusted_keys)
    wanted = f"swarm-{loaded.manifest.task_name}"
    if name != wanted:
        raise EirError(
            f"bundle '{loaded.manifest.name}' was trained for '{wanted}', not for '{name}'."
        )
    return loaded


def _team_decisions(env: Any, bundle: Any, seed: int) -> Any:
    from eir_ros.faults.attack_process import executed_actions
    from eir_ros.policy.team import Team
    from sim.drawing import Beliefs

    team = Team(bundle, seed)

    def decide(observation: Any, available: Any) -> tuple[Any, Beliefs]:
        kinds = env.kinds[0]
        step = team.step(observation, kinds)
        executed = executed_actions(step.actions, step.adversary, step.uniform, kinds)
        return executed, Beliefs(step.p_adversary, env.types[0] > 0)

    return decide


def _schedule(texts: list[str], num_robots: int) -> "Schedule":
    from eir_ros.faults.schedule import Schedule
    from eir_ros.swarm.schedule import read_faults

    robots = [f"r{i}" for i in range(num_robots)]
    return Schedule.of(read_faults(texts, robots), robots, batch=1)


def _option(text: str) -> tuple[str, Any]:
    """`name=value`, with the value read as YAML reads it."""
    import yaml

    from eir_ros.contract.errors import EirError

    name, equals, value = text.partition("=")
    if name in ("batch", "seed"):
        raise EirError(f"option '{text}': one episode is drawn, of the seed given by --seed.")
    if not equals or not name:
        raise EirError(
            f"option '{text}' is not of the form NAME=VALUE, for example episode_steps=50."
        )
    try:
        return name.strip().replace("-", "_"), yaml.safe_load(value)
    except yaml.YAMLError as error:
        raise EirError(f"option '{text}': {value!r} cannot be read as YAML.") from error
