"""What a failover of Redis costs under load.

python -m kits.races.failover sentinel    a master and a replica, watched by three Sentinels
python -m kits.races.failover cluster     a Redis Cluster of three masters, one with a replica

Clients sign in, write, read and sign out; then a master is killed. Counted are the responses, the
time to recover, and what the old master acknowledged and the new one never received, because
replication is asynchronous.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from kits.command import exit_on_sigterm
from kits.engines import forget_settings
from kits.races.outage_report import RECOVERY, report
from service.embedded import PostgresEngine
from service.storage.migrations import migrate
from tests.conditions import eventually
from tests.redis_engines import Group, Node, cluster, sentinels
from tests.servers import Server, gunicorn
from tests.session_clients import SessionClients

CLIENTS = 12
AROUND = 4.0  # seconds of load before the kill, and after the recovery


@dataclass(frozen=True)
class Failover:
    """How the master goes away; `cut` is in seconds."""

    cut: float  # the replica is cut off this long before
    freeze: bool  # the master hangs instead of dying, and comes back once it is replaced
    min_replicas: bool  # the master rejects writes while no replica is connected

    def happen(self, group: Group) -> tuple[float, float]:
        """Returns when the master went away, and when its replica was promoted."""
        master = next(
            each for each in group.masters() if each.client.info("replication")["connected_slaves"]
        )
        replica = next(node for node in group.nodes if node not in group.masters())
        if self.min_replicas:
            master.client.config_set("min-replicas-to-write", 1)
        time.sleep(AROUND)
        killed = self._take_away(master, replica)
        eventually(lambda: replica.client.info("replication")["role"] == "master", within=30)
        promoted = time.monotonic()
        time.sleep(RECOVERY)
        if self.freeze:
            master.thaw()
        time.sleep(AROUND)
        return killed, promoted

    def _take_away(self, master: Node, replica: Node) -> float:
        if self.cut:
            replica.freeze()
            master.client.client_kill_filter(_type="slave")
            time.sleep(self.cut)
        if self.freeze:
            master.freeze()
        else:
            master.kill()
        killed = time.monotonic()
        if self.cut:
            replica.thaw()
        return killed


def run(group: Group, server: Server, failover: Failover, output: Path) -> int:
    """Load, a failover, load; writes the report and returns the exit status."""
    clients = SessionClients(server.url, CLIENTS)
    workers = server.workers()
    with clients.running():
        killed, promoted = failover.happen(group)
    before = sum(response.at < killed for response in clients.responses) / AROUND
    recovered, survived = clients.last(503) - promoted, server.workers() == workers
    note = f"Load before: {before:.0f} responses/s. Promotion {promoted - killed:.2f} s after."
    # Replication explains what was lost around the kill, and nothing else.
    outcome = clients.judge(killed, may_lose=("sign-in", "sign-out", "write"))
    written = report(outcome, recovered, survived, note)
    written.publish(output / "report.md")
    shutil.copy(server.log, output)
    return 0 if written.passed else 1


def main() -> int:
    """Start everything, fail over, and leave nothing behind but the report."""
    exit_on_sigterm()
    forget_settings()
    options = _options()
    options.output.mkdir(parents=True, exist_ok=True)
    failover = Failover(options.cut / 1000, options.freeze, options.min_replicas)
    with ExitStack() as stack:
        directory = Path(stack.enter_context(TemporaryDirectory(prefix="coatcheck-failover-")))
        postgres = stack.enter_context(PostgresEngine(directory / "postgres", durable=False))
        migrate(postgres.url)
        engines = sentinels if options.kind == "sentinel" else lambda at: cluster(at, 3, 1)
        group = stack.enter_context(engines(directory / "redis"))
        environ = {
            "COATCHECK_ENV": "testing",
            "COATCHECK_THROTTLING": "off",
            "COATCHECK_SESSIONS_PER_ACCOUNT": "1000",
            "DATABASE_URL": postgres.url,
            "REDIS_URL": group.url,
        }
        server = stack.enter_context(gunicorn(directory, environ, workers=3))
        return run(group, server, failover, options.output)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m kits.races.failover",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("kind", choices=["sentinel", "cluster"])
    cut = "cut the replica off this long before the kill"
    parser.add_argument("--cut", type=float, default=0, metavar="MS", help=cut)
    freeze = "let the master hang instead, and come back once another has replaced it"
    parser.add_argument("--freeze", action="store_true", help=freeze)
    min_replicas = "let the master reject writes while no replica is connected"
    parser.add_argument("--min-replicas", action="store_true", help=min_replicas)
    parser.add_argument("--output", type=Path, default=Path(".data/races"), help="a directory")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
