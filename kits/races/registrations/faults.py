"""The faults of the registration race, by name. The first word says what breaks."""

from __future__ import annotations

from kits.races import engine_faults
from kits.races.engine_faults import Inject, apply_for, cut_off
from kits.races.proxy.rule import Rule
from kits.races.race import Race
from kits.races.registrations.release_faults import names_released
from kits.races.registrations.step_faults import (
    at_step,
    before_commit,
    claim_lost,
    crash_before_commit,
    killed,
)


def redis_full(race: Race) -> None:
    """Redis rejects writes but still reads, while herds race for new names."""
    with race.redis_full():
        for _ in range(5):
            race.load.start_traffic().result()


FAULTS: dict[str, Inject] = {
    # SIGKILL a worker at each step of a registration.
    "worker_after_claim": killed("redis", "reply", "claim", b"claimed"),
    "worker_after_select": killed("postgres", "reply", "select"),
    "worker_in_hash": killed("postgres", "answered", "select"),
    "worker_before_insert": killed("postgres", "request", "insert"),
    "worker_in_insert": killed("postgres", "sent", "insert"),
    "worker_before_commit_rolled_back": before_commit("kill_first", rolled_back=True),
    "worker_before_commit": before_commit("kill_first", rolled_back=False),
    "worker_after_commit": killed("postgres", "reply", "insert"),
    "worker_before_publish": killed("redis", "request", "publish"),
    "worker_after_publish": killed("redis", "reply", "publish"),
    # Cut a connection, or drop what passes through it, at a step.
    "reply_to_claim_swallowed": at_step(Rule("redis", "reply", "drop", "claim", reply=b"claimed")),
    "publish_swallowed": at_step(Rule("redis", "request", "drop", "publish")),
    "insert_swallowed": at_step(Rule("postgres", "request", "drop", "insert")),
    "reply_to_insert_swallowed": at_step(Rule("postgres", "reply", "drop", "insert")),
    "connection_before_commit_rolled_back": before_commit("cut_first", rolled_back=True),
    "connection_before_commit": before_commit("cut_first", rolled_back=False),
    "connection_after_commit": at_step(Rule("postgres", "reply", "cut", "insert")),
    # The second cut hits the query about the first INSERT: the response is 503, and the name is
    # registered.
    "connection_after_commit_twice": at_step(Rule("postgres", "reply", "cut", "insert"), times=2),
    "commit_delayed": before_commit(None, rolled_back=False),
    "claim_lost": claim_lost,
    # Redis.
    "redis_slow": apply_for(Rule("redis", "request", "delay", seconds=0.1), 2),
    "redis_half_open": apply_for(Rule("redis", "reply", "drop"), 2),
    "redis_cut_off": cut_off("redis"),
    "redis_paused": engine_faults.redis_paused,
    "redis_killed": engine_faults.redis_killed,
    "redis_tail_lost": engine_faults.redis_tail_lost,
    "redis_flushed": engine_faults.redis_flushed,
    "redis_full": redis_full,
    # Postgres.
    "postgres_slow": apply_for(Rule("postgres", "request", "delay", seconds=0.1), 2),
    "postgres_cut_off": cut_off("postgres"),
    "postgres_paused": engine_faults.postgres_paused,
    "postgres_backends_paused": engine_faults.backends_paused,
    "postgres_crashed": engine_faults.postgres_crashed,
    "postgres_crashed_before_commit": crash_before_commit,
    # The names of deleted accounts.
    "names_released": names_released,
}
ALONE = {"claim_lost"}  # allows no other load, because it counts what a herd costs
