"""DDS security (SROS2): which node may say and hear what, as the policy that `ros2 security` reads.

One enclave for each process of a plan, of the process's name: `/r2/agent`. What is not listed is
denied. The tables say what the code of each node does; a test compares them with a running swarm.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final
from xml.etree import ElementTree

from eir_ros.swarm.process import Process

#: Of the look for other swarms, before a start.
COMPANY: Final = "/eir_company"

_SENSES: Final = ("odom", "tracks", "sites")
_TOLD: Final = ("beliefs", "decision", "gate_events", "trust")
#: What passes a fault node, and what becomes of it.
_FAULTY: Final = tuple(f"{name}_faulty" for name in _SENSES)
_SAID: Final = ("beliefs", "decision")
_SAYS: Final = tuple(f"{name}_policy" for name in _SAID)
_COMMANDS: Final = ("cmd_vel_policy", "cmd_vel_faulty", "cmd_vel")

#: What every node has.
_PUBLISHES: Final = ("/rosout", "/parameter_events", "~/transition_event")
_HEARS: Final = ("/clock", "/parameter_events")
_ANSWERS: Final = tuple(
    f"~/{name}"
    for name in (
        "change_state",
        "describe_parameters",
        "get_available_states",
        "get_available_transitions",
        "get_parameter_types",
        "get_parameters",
        "get_state",
        "get_transition_graph",
        "get_type_description",
        "list_parameters",
        "set_parameters",
        "set_parameters_atomically",
    )
)


@dataclass(frozen=True)
class Rights:
    """Names of topics and services, relative to the node as in ROS."""

    publishes: tuple[str, ...] = ()
    hears: tuple[str, ...] = ()
    answers: tuple[str, ...] = ()
    asks: tuple[str, ...] = field(default=())


def rights_of(node: str, team: Iterable[str]) -> Rights:
    """What a node of this name does, beside what every node does."""
    team = tuple(team)
    every = {names: _of_all(team, names) for names in (_SENSES, _TOLD, _COMMANDS)}
    rights = {
        "agent": Rights(
            ("cmd_vel_policy", *_SAID, *_SAYS, "trust", "/diagnostics"),
            (*_SENSES, *_FAULTY, "gate_events"),
        ),
        "gate": Rights(
            ("cmd_vel", "gate_events", "/diagnostics"),
            (*_SENSES, "obstacles", "trust", "cmd_vel_faulty", "cmd_vel_policy", "/swarm/estop"),
        ),
        "fault": Rights(
            ("cmd_vel_faulty", "/swarm/faults", *_FAULTY, *_SAID),
            (*_SENSES, "cmd_vel_policy", *_SAYS),
        ),
        "world": Rights(
            ("/clock", "/swarm/score", *every[_SENSES]),
            (*_of_all(team, ("cmd_vel",)), "/swarm/faults"),
            ("~/pause",),
        ),
        "monitor": Rights(
            ("/swarm/estop", "/swarm/markers"),
            (
                *(*every[_SENSES], *every[_TOLD]),
                *("/diagnostics", "/swarm/estop", "/swarm/faults", "/swarm/score"),
            ),
            (),
            (
                "/world/pause",
                *_of_all(team, ("fault/set_parameters", "agent/set_parameters")),
            ),
        ),
        "recorder": Rights(
            ("/diagnostics",),
            (
                *(*every[_SENSES], *every[_TOLD], *every[_COMMANDS]),
                *_of_all(team, ("obstacles",)),
                *("/diagnostics", "/swarm/estop", "/swarm/faults"),
                *("/swarm/markers", "/swarm/score"),
            ),
        ),
    }
    return rights[node]


def policy(plan: Iterable[Process], team: Iterable[str]) -> str:
    """Return the policy of a plan, for `ros2 security generate_artifacts --policy-files`."""
    team = tuple(team)
    root = ElementTree.Element("policy", version="0.2.0")
    enclaves = ElementTree.SubElement(root, "enclaves")
    for process in plan:
        profiles = _enclave(enclaves, f"/{process.name}")
        for node in process.nodes:
            profile = ElementTree.SubElement(profiles, "profile", ns=process.namespace, node=node)
            for kind, right, names in _rows(rights_of(node, team)):
                group = ElementTree.SubElement(profile, f"{kind}s", {right: "ALLOW"})
                for name in names:
                    ElementTree.SubElement(group, kind).text = name
    company = _enclave(enclaves, COMPANY)
    nothing = ElementTree.SubElement(company, "profile", ns="/", node="eir_company")
    heard = ElementTree.SubElement(nothing, "topics", subscribe="ALLOW")
    ElementTree.SubElement(heard, "topic").text = "/parameter_events"
    ElementTree.indent(root)
    return ElementTree.tostring(root, encoding="unicode", xml_declaration=True) + "\n"


def _enclave(enclaves: ElementTree.Element, path: str) -> ElementTree.Element:
    enclave = ElementTree.SubElement(enclaves, "enclave", path=path)
    return ElementTree.SubElement(enclave, "profiles")


def _rows(rights: Rights) -> Iterator[tuple[str, str, tuple[str, ...]]]:
    yield "topic", "publish", (*rights.publishes, *_PUBLISHES)
    yield "topic", "subscribe", (*rights.hears, *_HEARS)
    yield "service", "reply", (*rights.answers, *_ANSWERS)
    if rights.asks:
        yield "service", "request", rights.asks


def _of_all(team: Iterable[str], names: Iterable[str]) -> tuple[str, ...]:
    return tuple(f"/{robot}/{name}" for robot in team for name in names)
