"""The catalogue of worlds by name: a table, read without importing any of them.

A world is one line in `_ENTRIES`: a name or a pattern, the class behind it, and what it is about.
Its options are the keyword arguments of the class, so nothing is written down twice. A world of
your own needs no line: `make("package.module:Class")` finds it where Python would.
"""

import difflib
import fnmatch
import importlib
import inspect
import math
import numbers
import typing
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from eir_ros.contract.errors import EirError

if TYPE_CHECKING:
    from pettingzoo import ParallelEnv

    from sim.batched import BatchedEnv


@dataclass(frozen=True)
class Entry:
    """One line of the catalogue."""

    #: A name, or a pattern as in file names
    pattern: str
    #: `module:Class` of a `BatchedEnv`
    target: str
    #: What the world is about, in one line
    summary: str
    #: Names that are listed where `pattern` stands for many
    examples: tuple[str, ...] = ()
    #: The class's parameter that takes the rest of the name after the dash; empty: the class
    #: reads its names itself, with `options_of(name) -> dict`, if the entry is a pattern
    parameter: str = ""

    @property
    def names(self) -> tuple[str, ...]:
        """Names to list."""
        return self.examples or (self.pattern,)

    def load(self) -> Callable[..., Any]:
        """Import the class."""
        return _load(self.target)

    def fixed_by(self, name: str) -> dict[str, Any]:
        """Options that the name itself stands for."""
        if self.parameter:
            return {self.parameter: name.partition("-")[2]}
        if "*" in self.pattern:
            found: dict[str, Any] = self.load().options_of(name)  # type: ignore[attr-defined]
            return found
        return {}


#: Arguments of every world, which are not options.
_EVERYWHERE = ("batch", "seed")

_ENTRIES = (
    Entry(
        "toy",
        "sim.toy.env:ToyEnv",
        "two agents, two actions: agree in one state, differ in the other",
    ),
    Entry(
        "lbf-*",
        "sim.lbf.env:LbfEnv",
        "level-based foraging: together, agents load food that is too heavy for one",
        ("lbf-12x12-4p-3f-c",),
    ),
    Entry(
        "smac-*",
        "sim.smac.env:SmacEnv",
        "StarCraft's skirmishes without StarCraft: a team against a scripted enemy",
        ("smac-3m", "smac-4m_vs_3m", "smac-5m_vs_6m", "smac-8m", "smac-2s3z"),
        parameter="map",
    ),
    Entry(
        "mpe-simple_spread",
        "sim.mpe.env:SpreadEnv",
        "particles share out landmarks and keep out of each other's way",
    ),
    Entry(
        "mpe-simple_tag",
        "sim.mpe.env:TagEnv",
        "three slow particles hunt a fast one among obstacles",
    ),
    Entry(
        "mpe-simple_reference",
        "sim.mpe.env:ReferenceEnv",
        "two particles, each of which knows, and must tell, where the other shall go",
    ),
    Entry(
        "swarm-coverage",
        "sim.swarm.env:CoverageEnv",
        "robots in PyBullet share out sites that move, while one of them may be faulty",
    ),
    Entry(
        "swarm-rendezvous",
        "sim.swarm.env:RendezvousEnv",
        "robots in PyBullet gather, wherever it may be, and do not follow a traitor",
    ),
    Entry(
        "swarm-pursuit",
        "sim.swarm.env:PursuitEnv",
        "robots in PyBullet surround an evader that is faster than each of them",
    ),
    Entry(
        "swarm-transport",
        "sim.swarm.env:TransportEnv",
        "robots in PyBullet push a box that is too heavy for one of them",
    ),
)


def names() -> list[str]:
    """Names that `make` and `parallel_env` know; patterns stand with their examples."""
    return sorted(name for entry in _ENTRIES for name in entry.names)


def make(name: str, batch: int = 1, seed: Any = 0, **options: Any) -> "BatchedEnv":
    """Make a batched environment.

    Parameters
    ----------
    name
        One of `names()`, any other name that fits a pattern (`lbf-8x8-2p-3f`), or
        `package.module:Class` for a world that is not in the catalogue.
    batch
        Number of environments, B.
    seed
        Anything `numpy.random.SeedSequence` takes as entropy.
    options
        Those of its class; `options_of(name)` lists them.

    Raises
    ------
    EirError
        The name or an option is unknown, and the nearest one is given; or the class refuses a
        value.
    """
    entry = _entry(name)
    build = entry.load()
    # numba takes its time, and the world has imported it by now
    from sim.compiling import announce

    announce(name, entry.target)
    return _built(build, entry, name, {"batch": batch, "seed": seed, **options})


def parallel_env(name: str, illegal: str = "refuse", **options: Any) -> "ParallelEnv":
    """The PettingZoo `ParallelEnv` of that name.

    Parameters
    ----------
    illegal
        What happens to an action that is not available; see `sim.parallel.ParallelView`.
    options
        Those of `make`; `seed` too.
    """
    if "batch" in options:
        raise EirError("a ParallelEnv is one environment; leave out 'batch', or use sim.make.")
    from sim.parallel import ILLEGAL, ParallelView

    if illegal not in ILLEGAL:
        raise EirError(f"illegal is '{illegal}'; expected one of {', '.join(ILLEGAL)}.")
    return ParallelView(make(name, **options), illegal)


def summary_of(name: str) -> str:
    """What a world is about, in one line."""
    return _entry(name).summary


def options_of(name: str) -> dict[str, Any]:
    """Options that `make` takes for `name`, with their defaults.

    Batch and seed are left out, and so is what the name itself stands for. An option without a
    default has `inspect.Parameter.empty`.
    """
    entry = _entry(name)
    fixed = entry.fixed_by(name)
    return {
        option: parameter.default
        for option, parameter in _parameters(entry).items()
        if option not in _EVERYWHERE and option not in fixed
    }


def _parameters(entry: Entry) -> dict[str, inspect.Parameter]:
    """The keyword arguments of the class."""
    parameters = inspect.signature(entry.load()).parameters.values()
    named = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    return {parameter.name: parameter for parameter in parameters if parameter.kind in named}


def _built(build: Callable[..., Any], entry: Entry, name: str, given: dict[str, Any]) -> Any:
    """Call `build` with the options that are given and those that the name stands for."""
    try:
        fixed = entry.fixed_by(name)
        parameters = _parameters(entry)
        known = [
            option for option in parameters if option not in _EVERYWHERE and option not in fixed
        ]
        for option, value in given.items():
            if option not in known and option not in _EVERYWHERE:
                raise EirError(_unknown_option(name, option, known, fixed))
            _check_type(name, parameters[option], value)
        return build(**given, **fixed)
    except ValueError as error:
        raise EirError(f"{name}: {error}") from error
    except MemoryError as error:
        raise EirError(
            f"{name}: a batch of {given['batch']} does not fit the memory ({error}); "
            "expected a smaller one"
        ) from error


def _check_type(name: str, parameter: inspect.Parameter, value: Any) -> None:
    """Refuse what is plainly of another type; a class that takes several checks them itself."""
    kinds = {bool: bool, int: numbers.Integral, float: numbers.Real, str: str}
    wanted = parameter.annotation
    if value is None and type(None) in typing.get_args(wanted):
        return
    # of `int | None` the int
    others = [kind for kind in typing.get_args(wanted) if kind is not type(None)]
    wanted = others[0] if len(others) == 1 else wanted
    if wanted not in kinds:
        return
    good = isinstance(value, kinds[wanted]) and isinstance(value, bool) == (wanted is bool)
    if good and wanted is float:
        good = math.isfinite(value)
    if not good:
        words = {bool: "true or false", int: "an integer", float: "a number", str: "a word"}
        raise EirError(
            f"option '{parameter.name}' of '{name}' is {value!r}; expected {words[wanted]}."
        )


def _unknown_option(name: str, option: str, known: list[str], fixed: dict[str, Any]) -> str:
    if option in fixed:
        return f"option '{option}' of '{name}' is said by the name already: {fixed[option]!r}."
    if not known:
        return f"unknown option '{option}' of '{name}', which takes none."
    return (
        f"unknown option '{option}' of '{name}'; did you mean '{_nearest(option, known)}'? "
        f"It takes {', '.join(known)}."
    )


def _entry(name: str) -> Entry:
    if not isinstance(name, str):
        raise EirError(f"an environment's name is {name!r}; expected a word, such as 'toy'.")
    for entry in _ENTRIES:
        if fnmatch.fnmatchcase(name, entry.pattern):
            return entry
    if ":" in name:
        lines = (inspect.getdoc(_world_at(name)) or "").splitlines()
        return Entry(name, name, lines[0].rstrip(".") if lines else "")
    known = names()
    raise EirError(
        f"unknown environment '{name}'; did you mean '{_nearest(name, known)}'? "
        f"There are {', '.join(known)}; or give package.module:Class."
    )


def _nearest(word: str, known: list[str]) -> str:
    """The one of `known` that is most like `word`."""
    return difflib.get_close_matches(word.lower(), known, n=1, cutoff=0.0)[0]


def _world_at(target: str) -> type["BatchedEnv"]:
    """The class at `module:Class`, which somebody else may have written."""
    from sim.batched import BatchedEnv

    found = _load(target)
    if not (isinstance(found, type) and issubclass(found, BatchedEnv)) or inspect.isabstract(found):
        raise EirError(f"'{target}' is no world; expected a class made from sim.BatchedEnv.")
    return found


def _load(target: str) -> Callable[..., Any]:
    """The class at `module:Class`."""
    place, _, attribute = target.partition(":")
    try:
        found: Callable[..., Any] = getattr(importlib.import_module(place), attribute)
    except ModuleNotFoundError as error:
        # a package that the module needs is another matter: it names itself
        if error.name is None or not f"{place}.".startswith(f"{error.name}."):
            raise
        raise EirError(f"'{target}' is not found: no module '{error.name}'.") from error
    except (AttributeError, ValueError) as error:
        raise EirError(f"'{target}' is not found: {error}.") from error
    return found
