from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest
from redis import Redis
from redis.exceptions import MaxConnectionsError
from redis.sentinel import SentinelConnectionPool

from service.errors import SessionStoreUnavailable
from service.storage.redis import connect, failing_as
from service.storage.redis_connections import NodePool
from tests.conditions import eventually
from tests.faults import frozen
from tests.redis_engines import Group

WRITE = "return redis.call('SET', KEYS[1], ARGV[1])"


def answers(call: Callable[[], Any]) -> bool:
    """Whether it succeeds. Either way it must be done within a second."""
    started = time.monotonic()
    try:
        with failing_as(SessionStoreUnavailable):
            call()
    except SessionStoreUnavailable:
        return False
    finally:
        assert time.monotonic() - started < 1.1
    return True


def test_a_sentinel_url_is_read() -> None:
    client = connect("redis+sentinel://us%40er:pass%2Fword@one:26380,[::1]/the%20master/3")
    pool = client.connection_pool
    assert isinstance(pool, SentinelConnectionPool)
    assert pool.service_name == "the master"
    wanted = {"username": "us@er", "password": "pass/word", "db": 3}
    assert wanted.items() <= pool.connection_kwargs.items()
    watchers = [
        sentinel.connection_pool.connection_kwargs for sentinel in pool.sentinel_manager.sentinels
    ]
    assert [(at["host"], at["port"]) for at in watchers] == [("one", 26380), ("::1", 26379)]
    assert all("password" not in at for at in watchers)


@pytest.mark.parametrize(
    "url",
    [
        "redis+sentinel://127.0.0.1:1,127.0.0.1:2/coatcheck",
        "redis+cluster://127.0.0.1:1,127.0.0.1:2",
    ],
)
def test_nothing_is_connected_before_it_is_used_and_a_missing_server_is_an_error(url: str) -> None:
    client = connect(url)
    script = client.register_script(WRITE)
    assert not answers(client.ping)
    assert not answers(lambda: script(keys=["key"], args=["value"]))


def test_the_login_of_the_url_is_used(group: Group) -> None:
    for node in group.nodes:
        node.client.acl_setuser("us@er", enabled=True, passwords="+pass/word", commands=["+@all"])
    client = connect(group.url.replace("://", "://us%40er:pass%2Fword@"))
    try:
        assert client.acl_whoami() == "us@er"
    finally:
        for node in group.nodes:
            node.client.acl_deluser("us@er")


def test_all_of_a_cluster_is_found_by_one_of_its_nodes(cluster_engine: Group) -> None:
    name = f"127.0.0.1:{cluster_engine.nodes[1].port}"
    client = connect(f"redis+cluster://{name}")
    assert client.ping()
    assert [node.name for node in client.startup_nodes] == [name]
    assert {node.port for node in client.get_primaries()} == {
        node.port for node in cluster_engine.masters()
    }


def test_a_cluster_that_starts_after_the_service_is_found(cluster_engine: Group) -> None:
    client = connect(cluster_engine.url)
    with frozen(*cluster_engine.nodes):
        assert not answers(client.ping)
    assert eventually(lambda: answers(client.ping))


def test_everything_frozen_is_an_error_within_a_second(group: Group) -> None:
    warm, cold = connect(group.url), connect(group.url)
    script = warm.register_script(WRITE)
    warm.get("key")
    with frozen(*group.all()):  # a Sentinel that was away for longer than 2 s gives up for 30
        assert not answers(lambda: warm.get("key"))
        assert not answers(lambda: script(keys=["key"], args=["value"]))
        assert not answers(lambda: cold.get("key"))
    assert eventually(lambda: answers(lambda: warm.get("key")))
    assert eventually(lambda: answers(lambda: cold.get("key")))


def test_all_connections_in_use_do_not_mean_that_the_node_is_dead(cluster_engine: Group) -> None:
    """RedisCluster looks for its nodes anew after a ConnectionError; that is what a blocking pool
    says of its own."""
    port = cluster_engine.nodes[0].port
    pool = NodePool(host="127.0.0.1", port=port, max_connections=1, timeout=0.01)
    pool.release(pool.get_connection())
    pool.get_connection()
    with pytest.raises(MaxConnectionsError):
        pool.get_connection()


def test_one_sentinel_that_answers_is_enough(sentinel_engine: Group) -> None:
    with frozen(*sentinel_engine.sentinels[:2]):
        assert answers(connect(sentinel_engine.url).ping)


def test_an_answer_that_came_too_late_is_not_taken_for_another(group: Group) -> None:
    """redis-py keeps a connection to a Sentinel's master after a time-out, unread answer and all,
    if time-outs are not retried."""
    key = group.key_with_a_replica()
    client = connect(group.url)
    client.set(key, "first")
    with frozen(group.master(key)):
        assert not answers(lambda: client.get(key))
    with failing_as(SessionStoreUnavailable):
        for _ in range(10):
            assert client.exists(key) == 1


def test_the_new_master_is_found_after_the_old_one_was_killed(group: Group) -> None:
    key = group.key_with_a_replica()
    client = connect(group.url)
    script = client.register_script(WRITE)
    script(keys=[key], args=["before"])
    old = group.master(key)
    group.await_replica(key)
    old.kill()
    eventually(lambda: len(group.masters()) == (1 if group.sentinels else 3), within=20)
    promoted = time.monotonic()
    eventually(lambda: answers(lambda: script(keys=[key], args=["after"])))
    assert time.monotonic() - promoted < 3
    assert client.get(key) == b"after"
    assert group.master(key) is not old


def test_a_script_that_a_former_master_rejects_is_a_broken_connection(redis: Redis) -> None:
    """It says "ERR Error running script … READONLY", which is no ReadOnlyError to redis-py."""
    kwargs = redis.connection_pool.connection_kwargs
    client = connect(f"unix://{kwargs['path']}")
    script = client.register_script(WRITE)
    script(keys=["key"], args=["value"])
    connection = client.client_id()
    redis.execute_command("REPLICAOF", "127.0.0.1", 1)
    try:
        assert not answers(lambda: script(keys=["key"], args=["value"]))
    finally:
        redis.execute_command("REPLICAOF", "NO", "ONE")
    assert answers(lambda: script(keys=["key"], args=["value"]))
    assert client.client_id() != connection
