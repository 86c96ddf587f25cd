"""`eir play ENV` and `eir play --run RUN`: draw an episode."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from eir_ros.faults.schedule import Schedule

#: The attack that plays a traitor where no other is asked for.
LEARNED = "learned"


def play(
    out: Annotated[Path, typer.Option(help="File to write: .gif, .mp4, or .png for six moments.")],
    name: Annotated[
        str | None, typer.Argument(metavar="[ENV]", help="Name of a world; see `eir envs`.")
    ] = None,
    bundle: Annotated[
        Path | None,
        typer.Option(help="Folder of the signed team that plays. Default: random play."),
    ] = None,
    run: Annotated[
        Path | None,
        typer.Option(
            help="Checkpoint of `eir train`, or its run folder: that team plays in its own world."
        ),
    ] = None,
    traitor: Annotated[
        int | None, typer.Option(min=0, help="With --run: the agent that is attacked.")
    ] = None,
    attack: Annotated[
        str, typer.Option(help="With --traitor: how, as `eir attack` names it.", metavar="KIND")
    ] = LEARNED,
    adversary: Annotated[
        Path | None,
        typer.Option(
            help="With --traitor: who plays it, as written by `eir attack`; default: the adversary "
            "of training."
        ),
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

    Types are shown as they are; with a trained team, so is who suspects whom.
    """
    from eir_ros.contract.errors import EirError
    from sim.movie import check_output

    if run is not None:
        if name or bundle or random or fault or option:
            raise EirError(
                "--run brings its own world and team; leave out ENV, --bundle, --random, --fault "
                "and --option."
            )
        check_output(out)
        _play_run(run, traitor, attack, adversary, out, camera, seed, steps, fps)
        return
    if name is None:
        raise EirError("there is nothing to play; name a world of `eir envs`, or give --run RUN.")
    if traitor is not None or adversary or attack != LEARNED:
        raise EirError(
            "--traitor, --attack and --adversary are for a team in training; give its --run."
        )
    if bundle and random:
        raise EirError("--bundle and --random were both given; choose one of them.")
    if fault and not name.startswith("swarm-"):
        raise EirError(f"'{name}' has no robots that --fault could break; leave it out.")
    _check_camera(camera, name)
    check_output(out)
    _play_world(name, bundle, trusted_keys, fault, option, out, camera, seed, steps, fps)


def _play_world(
    name: str, bundle: Path | None, trusted_keys: Path | None, fault: list[str] | None,
    option: list[str] | None, out: Path, camera: bool, seed: int, steps: int | None, fps: float,
) -> None:  # fmt: skip
    from rich.console import Console

    import sim
    from eir_ros.cli.scorecard import world_of_training
    from sim.episode import random_decisions, record

    options = dict(_option(text) for text in option or ())
    if bundle:
        signed = _load(bundle, trusted_keys, name)
        options["task"] = signed.manifest.task
        # a team plays where it was trained, but for what is asked for
        options["world"] = {**world_of_training(signed), **(options.get("world") or {})}
    with Console(stderr=True).status(f"playing {name}", spinner="line"):
        env: Any = sim.make(name, seed=seed, **options)
        if fault:
            observation = env.reset(seed, _schedule(fault, env.num_agents))
        else:
            observation = env.reset(seed)
        decide = _team_decisions(env, signed, seed) if bundle else random_decisions(env, seed)
        frames = record(env, observation, decide, steps)
        env.close()
        _keep(frames, env, out, fps, camera)


def _play_run(
    place: Path, traitor: int | None, kind: str, adversary: Path | None, out: Path, camera: bool,
    seed: int, steps: int | None, fps: float,
) -> None:  # fmt: skip
    from rich.console import Console

    from eir_ros.contract.errors import EirError
    from sim.episode import Film
    from training import checkpoint
    from training.attack import load_attack
    from training.attacks import make_attack
    from training.attacks.play import Arena

    if traitor is None and (adversary or kind != LEARNED):
        raise EirError("--attack and --adversary are for one agent; say which with --traitor.")
    attack = make_attack("none" if traitor is None else kind)
    run = checkpoint.load(checkpoint.find(place))
    _check_camera(camera, run.recipe.environment)
    played_by = load_attack(adversary) if adversary else None
    arena = Arena(run, batch=1)
    film = Film(arena.env)
    with Console(stderr=True).status(f"playing {place}", spinner="line"):
        arena.play(attack, 1, [seed], traitor, played_by, film)
        frames = film.frames[: None if steps is None else steps + 1]
        _keep(frames, arena.env, out, fps, camera)
    arena.close()


def _check_camera(camera: bool, name: str) -> None:
    from eir_ros.contract.errors import EirError

    if camera and not name.startswith("swarm-"):
        raise EirError(f"'{name}' is not in PyBullet, where --camera is; leave it out.")


def _keep(frames: list[Any], env: Any, out: Path, fps: float, camera: bool) -> None:
    from rich.console import Console

    from sim.drawing import FROM_ABOVE
    from sim.movie import save

    kept = save(frames, out, fps, env.camera() if camera else FROM_ABOVE)
    ending = frames[-1].scene.captions[-1]
    Console().print(f"{kept} in {out}: {ending}", soft_wrap=True, highlight=False)


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
