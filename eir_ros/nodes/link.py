"""The link of one host: opens what other hosts say, and signs what this one says to them.

On this host it is a node among the others, through shared memory. Towards the network it is the
only process that anybody can reach, and what it lets in is what a host of the team has signed: see
`eir_ros.link`. Robots speak with the operator, and not with each other.
"""

import os
import sys
import time
from collections import Counter
from functools import partial
from pathlib import Path
from typing import Any, Final

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from pydantic import Field as Setting
from rclpy.clock import Clock, ClockType
from rclpy.serialization import deserialize_message, serialize_message

from eir_ros.contract.config import Schema
from eir_ros.contract.errors import EirError
from eir_ros.link.clock import MAX_AGE_S, SteadyClock
from eir_ros.link.envelope import Entry, Opener, Refusal, RefusedError, Sealer
from eir_ros.link.mail import ANSWER, ESTOP, ORDER, EStop, Outbox, Peer
from eir_ros.link.streams import OPERATOR, SHARED, Channel, Kind, Stream, from_robots, to_robots
from eir_ros.nodes import messages, qos, sealed
from eir_ros.nodes.estop import EStopKeeper
from eir_ros.nodes.link_network import Network
from eir_ros.nodes.link_orders import Desk, Hand
from eir_ros.nodes.link_topics import MESSAGES, heard_with, told_with
from eir_ros.nodes.managed import ManagedNode
from eir_ros.nodes.parameters import declare
from eir_ros.nodes.run import run
from eir_ros.policy import signing
from eir_ros.swarm.sealing import SEALED_VARIABLE

#: How often the link looks at the network, and sends what waits [s].
_POLL_S: Final = 0.01
#: What is only looked at is gathered for so long: fewer and larger packets on a radio [s].
_GATHER_S: Final = 0.05
#: Between two signs of life of a host; each carries the e-stop and what is kept [s].
_BEAT_S: Final = 1.0
#: A host that has not been heard for so long is not there [s].
_LOST_S: Final = 3.0


class Parameters(Schema):
    """Parameters of the link node."""

    host: str = Setting(description="Name of this host: 'operator', or the host of robots")
    team: tuple[str, ...] = Setting(description="Names of all robots in roster order")
    team_hosts: tuple[str, ...] = Setting(description="The host of each of them")
    keys: str = Setting(description="Folder with HOST.key of this host, and HOST.pub of all")
    simulation: bool = Setting(False, description="Senses and commands of robots cross as well")
    network_domain: int = Setting(0, ge=0, le=232, description="ROS domain between the hosts")
    peers: tuple[str, ...] = Setting((), description="Addresses of hosts; empty: by multicast")
    discovery_server: str = Setting("", description="ROS_DISCOVERY_SERVER between the hosts")
    operator_timeout_s: float = Setting(
        0.0, ge=0.0, le=3600.0, description="Stop when the operator is silent so long; 0: never"
    )
    autostart: bool = Setting(True, description="Configure and activate without being told")


class Link(ManagedNode):
    """See the module.

    Raises
    ------
    EirError
        A parameter is wrong, a key is missing, or this process is not sealed.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__("link", **options)
        self.settings = settings = declare(self, Parameters)
        if len(settings.team_hosts) != len(settings.team):
            raise EirError(
                f"team_hosts names {len(settings.team_hosts)} hosts for {len(settings.team)} robots"
            )
        if settings.host not in (OPERATOR, *settings.team_hosts):
            raise EirError(f"no robot is on host '{settings.host}', and it is not '{OPERATOR}'.")
        if sealed.is_wanted():
            sealed.check()
            # from here on this process has a second graph, which is not
            del os.environ[SEALED_VARIABLE]
        self._steady = Clock(clock_type=ClockType.STEADY_TIME)
        self._network: Network | None = None
        self.bring_up(settings.autostart)

    def configure(self) -> None:
        """Take the keys, and connect to both sides."""
        own, others = load_keys(Path(self.settings.keys), self.settings.host, self._others())
        self._stamps = SteadyClock()
        self._sealer = Sealer(self.settings.host, own, self._stamps)
        self._opener = Opener(self.settings.host, others, self._stamps)
        self._peers = {host: self._make_peer(host) for host in self._others()}
        self._refused: Counter[tuple[str, str]] = Counter()
        self._told_refused: Counter[tuple[str, str]] = Counter()
        self._lost: set[str] = set()
        self._order = EStop()
        self._last_kept: dict[tuple[str, str], bytes] = {}
        self._began_s = time.monotonic()
        self._live_due = 0.0
        self._network = Network(
            self.settings.host,
            list(self._peers),
            domain=self.settings.network_domain,
            peers=self.settings.peers,
            discovery_server=self.settings.discovery_server,
        )
        self._diagnostics_pub = self.create_publisher(
            DiagnosticArray, "/diagnostics", qos.DIAGNOSTICS
        )
        self._estop = EStopKeeper(self, self._on_estop)
        self._inner_pubs: dict[str, Any] = {}
        for peer in self._peers.values():
            self._connect(peer)
        self._take_orders()

    def activate(self) -> None:
        """Let pass what may pass."""
        self.create_timer(_POLL_S, self._poll, clock=self._steady)
        self.create_timer(_BEAT_S, self._beat, clock=self._steady)

    def deactivate(self) -> None:
        """Let nothing pass."""
        for timer in list(self.timers):
            self.destroy_timer(timer)

    def cleanup(self) -> None:
        """Leave the network."""
        if self._network is not None:
            self._network.close()
            self._network = None

    def destroy_node(self) -> None:
        """Leave the network."""
        self.cleanup()
        super().destroy_node()

    # Both sides

    def _others(self) -> list[str]:
        """The hosts that this one speaks with."""
        hosts = list(dict.fromkeys(self.settings.team_hosts))
        return [h for h in hosts if h != OPERATOR] if self._is_operator else [OPERATOR]

    @property
    def _is_operator(self) -> bool:
        return self.settings.host == OPERATOR

    def _robots_of(self, host: str) -> tuple[str, ...]:
        pairs = zip(self.settings.team, self.settings.team_hosts, strict=True)
        return tuple(robot for robot, its_host in pairs if its_host == host)

    def _make_peer(self, host: str) -> Peer:
        robots = self._robots_of(host if self._is_operator else self.settings.host)
        up = from_robots(robots, simulation=self.settings.simulation)
        down = to_robots(robots, simulation=self.settings.simulation)
        out, into = (down, up) if self._is_operator else (up, down)
        return Peer(host, robots, Outbox(out), into)

    def _connect(self, peer: Peer) -> None:
        """Subscribe to what this host tells a peer, publish what comes from there."""
        for stream in peer.into.values():
            if stream.topic not in self._inner_pubs:
                profile = told_with(stream)
                kind = MESSAGES[stream.kind]
                self._inner_pubs[stream.topic] = self.create_publisher(kind, stream.topic, profile)
        for stream in peer.out.streams:
            self.create_subscription(
                MESSAGES[stream.kind],
                stream.topic,
                partial(self._on_inner, peer, stream),
                heard_with(stream),
                raw=True,
            )

    def _take_orders(self) -> None:
        """Orders are given on the operator's host, and obeyed on those of robots."""
        self._desk: Desk | None = None
        self._hand: Hand | None = None
        if self._is_operator:
            robots = {host: peer.robots for host, peer in self._peers.items()}
            self._desk = Desk(self, robots, lambda host, e: self._peers[host].out.put_entry(e))
        else:
            peer = self._peers[OPERATOR]
            self._hand = Hand(self, peer.robots, peer.out.put_entry)

    # To the network

    def _on_inner(self, peer: Peer, stream: Stream, data: bytes) -> None:
        about = ""
        if stream.topic in SHARED:
            # the operator's link says things on these topics, too, that are not for robots to say
            found = messages.about(peer.robots, deserialize_message(data, DiagnosticArray))
            if not found.status:
                return
            data, about = serialize_message(found), found.status[0].name
        peer.out.put(stream.topic, data, time.monotonic(), about)

    def _flush(self) -> None:
        assert self._network is not None
        now = time.monotonic()
        # in a simulation the robots' loops run through here
        live = self.settings.simulation or now >= self._live_due
        if live:
            self._live_due = now + _GATHER_S
        for host, peer in self._peers.items():
            for channel in Channel if live else (Channel.SURE,):
                for portion in peer.out.take(channel):
                    envelope = self._sealer.seal(host, channel, portion)
                    self._network.send(host, channel, envelope)

    def _beat(self) -> None:
        for peer in self._peers.values():
            peer.out.repeat()
            peer.out.put_entry(self._order.entry())
        if self._desk is not None:
            self._desk.look()
        self._look_for_lost()
        self._tell_refused()
        self._report()

    # From the network

    def _poll(self) -> None:
        assert self._network is not None
        for host, peer in self._peers.items():
            for channel in Channel:
                for envelope in self._network.waiting(host, channel):
                    self._let_in(host, peer, channel, envelope)
        self._flush()

    def _let_in(self, host: str, peer: Peer, channel: Channel, envelope: bytes) -> None:
        try:
            sender, entries = self._opener.open(envelope, channel)
        except RefusedError as error:
            self._refused[error.sender or host, error.why] += 1
            return
        if sender != host:
            # a host of the team in the place of another
            self._refused[sender, Refusal.NOT_ALLOWED] += 1
            return
        peer.heard_s = time.monotonic()
        for entry in entries:
            try:
                self._deliver(peer, channel, entry)
            except RefusedError as error:
                self._refused[host, error.why] += 1

    def _deliver(self, peer: Peer, channel: Channel, entry: Entry) -> None:
        if channel is Channel.SURE and self._deal_with(peer, entry):
            return
        stream = peer.into.get(entry.topic)
        if stream is None or stream.channel is not channel:
            raise RefusedError(Refusal.NOT_ALLOWED)
        message = _read(stream.kind, entry.data)
        if stream.topic in SHARED and messages.about(peer.robots, message) != message:
            # a robot speaks in the name of another
            raise RefusedError(Refusal.NOT_ALLOWED)
        if stream.kept:
            about = (stream.topic, message.status[0].name if message.status else "")
            if self._last_kept.get(about) == entry.data:
                return
            self._last_kept[about] = entry.data
        self._inner_pubs[stream.topic].publish(message)

    def _deal_with(self, peer: Peer, entry: Entry) -> bool:
        """Take what is no topic; False when it is one, or not for this host to hear."""
        try:
            if entry.topic == ESTOP:
                self._take_estop(peer, EStop.read(entry.data))
            elif entry.topic == ORDER and self._hand is not None:
                self._hand.obey(entry.data)
            elif entry.topic == ANSWER and self._desk is not None:
                self._desk.hear(peer.host, entry.data)
            else:
                return False
        except ValueError as error:
            raise RefusedError(Refusal.MALFORMED) from error
        return True

    # The e-stop

    def _on_estop(self, on: bool) -> None:
        """An order on this host: the operator's goes to all; of a robot's, only a stop counts."""
        # a release of nothing may be one that was kept from before this link started: robots may
        # stand since, and are not to be released by it
        if on or self._order.on:
            self._order = EStop(on, time.time_ns())
        for peer in self._peers.values():
            peer.out.put_entry(self._order.entry())

    def _take_estop(self, peer: Peer, found: EStop) -> None:
        first, peer.order, last = peer.order is None, found.order, peer.order
        if found.order == last or found.order == 0:
            return
        if found.on:
            if not self._order.on:
                self.get_logger().warning(f"e-stop from {peer.host}")
                self._estop.give(True)
        elif not self._is_operator and not first:
            # who releases is the operator, and it has done so while this link listened
            self._estop.give(False)

    # Looking after it

    def _look_for_lost(self) -> None:
        now = time.monotonic()
        for host, peer in self._peers.items():
            silent_s = now - (self._began_s if peer.heard_s is None else peer.heard_s)
            if silent_s > _LOST_S and host not in self._lost:
                self._lost.add(host)
                _tell(f"{self.settings.host}: nothing is heard from {host}")
            elif silent_s <= _LOST_S and peer.heard_s is not None and host in self._lost:
                self._lost.discard(host)
                _tell(f"{self.settings.host}: {host} is heard again")
            limit_s = self.settings.operator_timeout_s
            if host == OPERATOR and limit_s and silent_s > limit_s and not self._order.on:
                _tell(f"{self.settings.host}: stops, the operator is silent for {silent_s:.1f} s")
                self._estop.give(True)
        if by_s := self._stamps.catch_up(self._opener.ahead_s.get(h, 0.0) for h in self._lost):
            _tell(f"{self.settings.host}: its clock was behind, and is put forward by {by_s:.1f} s")

    def _tell_refused(self) -> None:
        """Tell what is refused when it begins, and again with every tenfold."""
        for (host, why), count in self._refused.items():
            if count < 10 * self._told_refused[host, why]:
                continue
            self._told_refused[host, why] = count
            ahead_s = self._opener.ahead_s.get(host, 0.0)
            if why == Refusal.NOT_NOW and abs(ahead_s) > MAX_AGE_S:
                why = f"its clock is {ahead_s:+.1f} s off"
            _tell(f"{self.settings.host}: refused {count} from {host}: {why}")

    def _report(self) -> None:
        values: dict[str, Any] = {}
        for host, peer in self._peers.items():
            age = "never" if peer.heard_s is None else f"{time.monotonic() - peer.heard_s:.1f}"
            values[f"{host} heard_s_ago"] = age
            ahead = self._opener.ahead_s.get(host)
            values[f"{host} clock_ahead_s"] = "" if ahead is None else f"{ahead:.3f}"
        for (host, why), count in self._refused.items():
            values[f"{host} refused, {why}"] = count
        names = self._robots_of(self.settings.host) or (OPERATOR,)
        found = messages.status(
            f"{names[0]}/link",
            values,
            hardware_id=self.settings.host,
            message=f"lost: {', '.join(sorted(self._lost))}" if self._lost else "ok",
            level=DiagnosticStatus.WARN if self._lost else DiagnosticStatus.OK,
        )
        self._diagnostics_pub.publish(messages.diagnostics(self.get_clock().now().to_msg(), found))


def load_keys(folder: Path, host: str, others: list[str]) -> tuple[Any, dict[str, Any]]:
    """Read the private key of `host` and the public keys of `others`.

    Raises
    ------
    EirError
        One of them is missing or malformed.
    """
    public = signing.load_trusted_keys(folder)
    missing = [name for name in others if name not in public]
    if missing:
        raise EirError(
            f"{folder}: there is no key of {', '.join(missing)} ({missing[0]}.pub); make keys for "
            "all hosts with 'eir security init' and give each host its folder."
        )
    return signing.load_private_key(folder / f"{host}.key"), {n: public[n] for n in others}


def _read(kind: Kind, data: bytes) -> Any:
    try:
        return deserialize_message(data, MESSAGES[kind])
    except Exception as error:  # rclpy has no class of its own for it
        raise RefusedError(Refusal.MALFORMED) from error


def _tell(line: str) -> None:
    """Standard output is the operator's terminal."""
    print(line, flush=True)


def main() -> None:
    """Run the link as a process of its own."""
    sys.exit(run(lambda: [Link()]))


if __name__ == "__main__":
    main()
