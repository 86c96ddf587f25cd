"""A word to the user while a world is compiled, which takes a while and happens once per machine.

numba tells its listeners when it really compiles, not when it finds the result on disk: a world
that has been used here before stays quiet. The line is a warning of the logger `sim.compiling`, so
it goes to stderr where nobody has set up logging.
"""

import logging

from numba.core import event

_LOG = logging.getLogger(__name__)


class _Announcer(event.Listener):  # type: ignore[misc]  # numba has no types
    """Speaks once of each world, at its first compilation."""

    def __init__(self) -> None:
        #: The world that was made last
        self.name = ""
        #: Packages whose code counts as a world's
        self.packages = {"sim"}
        self._told: set[str] = set()

    def on_start(self, event: event.Event) -> None:
        module: str = event.data["dispatcher"].py_func.__module__
        if self.name not in self._told and module.partition(".")[0] in self.packages:
            self._told.add(self.name)
            _LOG.warning("compiling %s, once per machine: this takes some seconds", self.name)

    def on_end(self, event: event.Event) -> None:
        pass


_ANNOUNCER = _Announcer()
event.register("numba:compile", _ANNOUNCER)


def announce(name: str, target: str) -> None:
    """Have compilations from now on announced as those of the world `name` at `module:Class`."""
    _ANNOUNCER.name = name
    _ANNOUNCER.packages.add(target.partition(":")[0].partition(".")[0])
