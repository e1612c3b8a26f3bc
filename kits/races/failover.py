"""What a failover of Redis costs under load: `python -m kits.races.failover sentinel|cluster`.

Clients log in, write, read and log out; then a master is killed. Counted: the answers, how long
it took to recover, and which acknowledged logins, writes and logouts the new master never heard
of, since replication is asynchronous. `--cut MS` cuts the replica off so long before the kill.
`--freeze` has the master hang instead, and come back when another is in its place.
`--min-replicas` has the master refuse writes while no replica is connected.
"""

from __future__ import annotations

import argparse
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

from service.embedded import Postgres
from service.storage.migrations import migrate
from tests.conditions import eventually
from tests.redis_engines import Group, Node, cluster, sentinels
from tests.servers import gunicorn
from tests.session_clients import Crowd

CLIENTS = 12
BEFORE = 4.0  # seconds of load before the kill, and after the recovery
RECOVERY = 3.0  # seconds, from the promotion of the replica to the last 503


def run(group: Group, url: str, cut: float, freeze: bool, min_replicas: bool) -> int:
    """Load, kill, load; prints what came of it and returns the exit status."""
    crowd = Crowd(url, CLIENTS)
    with crowd.acting():
        killed, promoted = _fail_over(group, cut, freeze, min_replicas)
    before = sum(at < killed for at, *_ in crowd.answers.rows) / BEFORE
    recovered = crowd.answers.last(503) - promoted
    print(f"load before the kill: {before:.0f} answers/s")
    print(f"replica promoted {promoted - killed:.2f} s after the kill")
    print(f"last 503 {recovered:+.2f} s from the promotion")
    if recovered > RECOVERY:
        crowd.answers.wrong.append(f"recovered {recovered:.1f} s after the promotion")
    # Replication explains what was lost around the kill, and nothing else.
    crowd.judge(killed, excused=("login", "logout", "write"))
    return crowd.complain()


def _fail_over(group: Group, cut: float, freeze: bool, min_replicas: bool) -> tuple[float, float]:
    """When the master was killed, and when its replica was promoted."""
    victim = next(m for m in group.masters() if m.client.info("replication")["connected_slaves"])
    replica = next(n for n in group.nodes if n not in group.masters())
    if min_replicas:
        victim.client.config_set("min-replicas-to-write", 1)
    time.sleep(BEFORE)
    killed = _kill(victim, replica, cut, freeze)
    eventually(lambda: replica.client.info("replication")["role"] == "master", within=30)
    promoted = time.monotonic()
    time.sleep(RECOVERY)
    if freeze:
        victim.thaw()
    time.sleep(BEFORE)
    return killed, promoted


def _kill(victim: Node, replica: Node, cut: float, freeze: bool) -> float:
    if cut:
        replica.freeze()
        victim.client.client_kill_filter(_type="slave")
        time.sleep(cut)
    if freeze:
        victim.freeze()
    else:
        victim.kill()
    killed = time.monotonic()
    if cut:
        replica.thaw()
    return killed


def main() -> int:
    """Start everything, measure, and leave nothing behind."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("kind", choices=["sentinel", "cluster"])
    parser.add_argument("--cut", type=float, default=0, metavar="MS")
    parser.add_argument("--freeze", action="store_true")
    parser.add_argument("--min-replicas", action="store_true")
    options = parser.parse_args()
    with ExitStack() as stack:
        directory = Path(stack.enter_context(TemporaryDirectory(prefix="coatcheck-failover-")))
        postgres = stack.enter_context(Postgres(directory / "postgres", durable=False))
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
        return run(group, server.url, options.cut / 1000, options.freeze, options.min_replicas)


if __name__ == "__main__":
    sys.exit(main())
