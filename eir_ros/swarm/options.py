"""What the user chose for one run."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from eir_ros.contract.faults import Fault

#: In lockstep nobody hurries, so silence means a dead process and nothing else [s].
LOCKSTEP_PATIENCE_S: Final = 10.0

#: Silence after which a process that a robot or its operator waits for hangs [s]: with the wait
#: before a restart it is back within 2 s.
_HANGS_S: Final = 1.5


@dataclass(frozen=True)
class Options:
    """What the user chose for one run; the roster says what holds for all runs."""

    #: Folder of the bundle.
    bundle: Path
    #: Folder of the public keys that may sign it; None: those of the package.
    trusted_keys: Path | None = None
    faults: tuple[Fault, ...] = ()
    #: Robots of the team that are not there at the start, and may come later.
    absent: tuple[str, ...] = ()
    seed: int = 0
    #: Simulated seconds after which the world ends the run; 0: never.
    duration_s: float = 0.0
    #: Keystore of DDS security; None: none.
    keystore: Path | None = None
    #: Only the part of this host; None: all of it on one machine.
    host: str | None = None
    #: Refuse what anybody on the network could drive.
    secure: bool = False
    #: Folder of this host's keys: the hosts are joined by signing links. None: by plain DDS.
    keys: Path | None = None
    #: ROS domain and discovery server of what is between hosts that are joined by links.
    network_domain: int = 0
    discovery_server: str = ""
    #: A world node stands in for the robots' bodies.
    simulation: bool = True
    lockstep: bool = False
    #: Robots can be broken on purpose; without, the gate listens to the agent directly. None: in
    #: simulation only.
    fault_nodes: bool | None = None
    #: Agents publish what they observed with each decision.
    publish_observation: bool = False
    #: No operator page.
    headless: bool = False
    address: str = "127.0.0.1"
    port: int = 8080
    #: Needed to control the swarm from another machine's browser.
    token: str = field(default="", repr=False)
    #: Folder for the recording; None: none.
    record: Path | None = None
    #: Where the monitor leaves its report; None: nowhere.
    report: Path | None = None

    @property
    def breakable(self) -> bool:
        """Whether robots have fault nodes."""
        return self.simulation if self.fault_nodes is None else self.fault_nodes

    @property
    def hangs_s(self) -> float:
        """Silence of a robot's process that means that it hangs [s]."""
        return LOCKSTEP_PATIENCE_S if self.lockstep else _HANGS_S
