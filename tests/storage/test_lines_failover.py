"""Redis from the event loop while nodes fail, hang and move."""

from __future__ import annotations

import asyncio

import pytest
from redis.asyncio.cluster import NodesManager

from tests.conditions import eventually
from tests.faults import frozen
from tests.loops import on_loop
from tests.redis_engines import HOST, Group, Node
from tests.storage.lines import (
    KEY,
    answers,
    get,
    lines_to,
    until_it_answers,
)


@on_loop
async def test_the_login_of_the_url_is_used(group: Group) -> None:
    for node in group.nodes:
        node.client.acl_setuser(
            "us@er", enabled=True, passwords="+pass/word", keys="*", commands=["+@all"]
        )
    try:
        async with lines_to(group.url.replace("://", "://us%40er:pass%2Fword@")) as lines:
            assert await lines.call(KEY, b"ACL", b"WHOAMI") == b"us@er"
        async with lines_to(group.url.replace("://", "://us%40er:wrong@")) as lines:
            assert not await answers(lines)
    finally:
        for node in group.nodes:
            node.client.acl_deluser("us@er")


@on_loop
async def test_the_new_master_is_found_after_the_old_one_was_killed(group: Group) -> None:
    key = group.key_with_a_replica()
    loop = asyncio.get_running_loop()
    async with lines_to(group.url) as lines:
        await lines.call(key, b"SET", key.encode(), b"before")
        old = group.master(key)
        group.await_replica(key)
        old.kill()
        while len(group.masters()) < (1 if group.sentinels else 3):
            await answers(lines, key)
        promoted = loop.time()
        await until_it_answers(lines, key)
        assert loop.time() - promoted < 3
        assert await get(lines, key) == b"before"
        assert await lines.call(key, b"SET", key.encode(), b"after") in (b"OK", True)
    assert group.master(key) is not old


@on_loop
async def test_the_new_master_is_found_while_the_old_one_hangs(group: Group) -> None:
    key = group.key_with_a_replica()
    async with lines_to(group.url) as lines:
        await lines.call(key, b"SET", key.encode(), b"before")
        old = group.master(key)
        group.await_replica(key)
        with frozen(old):
            await until_it_answers(lines, key, within=15)
            assert await get(lines, key) == b"before"
        if group.sentinels:  # they would take ten seconds to say so
            [new] = [node for node in group.nodes if node is not old]
            old.client.replicaof(HOST, new.port)
        eventually(lambda: old.client.info("replication")["role"] == "slave")
        assert await lines.call(key, b"SET", key.encode(), b"after") in (b"OK", True)


@on_loop
async def test_a_node_that_hangs_fails_none_but_its_own_keys(cluster_engine: Group) -> None:
    async with lines_to(cluster_engine.url) as lines:
        keys = [f"key-{number}" for number in range(30)]
        for key in keys:
            await get(lines, key)
        stuck = cluster_engine.nodes[2]  # which has no replica
        its_own = [key for key in keys if cluster_engine.master(key) is stuck]
        assert 0 < len(its_own) < 30
        with frozen(stuck):
            asked = [asyncio.ensure_future(answers(lines, key)) for key in its_own]
            started = asyncio.get_running_loop().time()
            for key in set(keys) - set(its_own):
                assert await answers(lines, key)
            assert asyncio.get_running_loop().time() - started < 0.3
            assert await asyncio.gather(*asked) == [False] * len(its_own)
        await until_it_answers(lines, its_own[0])


@on_loop
async def test_commands_for_a_silent_node_share_one_search_for_its_replica(
    cluster_engine: Group, monkeypatch: pytest.MonkeyPatch
) -> None:
    searches = 0
    search = NodesManager.initialize

    async def counted(manager: NodesManager) -> None:
        nonlocal searches
        searches += 1
        await search(manager)

    stuck = cluster_engine.nodes[2]  # which has no replica
    key = next(key for key in map(str, range(100)) if cluster_engine.master(key) is stuck)
    async with lines_to(cluster_engine.url) as lines:
        await get(lines, key)
        with frozen(stuck):
            assert not await answers(lines, key)
            monkeypatch.setattr(NodesManager, "initialize", counted)
            assert not any(await asyncio.gather(*(answers(lines, key) for _ in range(50))))
        assert searches == 1
        await until_it_answers(lines, key)


@on_loop
async def test_a_slot_that_has_moved_is_followed(cluster_engine: Group) -> None:
    """The reply has the form that Redis gave it, on this way too."""
    key = "a-key-that-moves"
    async with lines_to(cluster_engine.url) as lines:
        await lines.call(key, b"DEL", key.encode())
        slot = cluster_engine.nodes[0].client.execute_command("CLUSTER KEYSLOT", key)
        source = cluster_engine.master(key)
        target = next(node for node in cluster_engine.masters() if node is not source)
        try:
            assign(cluster_engine, slot, target)
            target.client.hset(key, "field", "there")
            assert await lines.call(key, b"HGETALL", key.encode()) == [b"field", b"there"]
            target.client.delete(key)
        finally:
            assign(cluster_engine, slot, source)
        await until_it_answers(lines, key)


def assign(group: Group, slot: int, node: Node) -> None:
    name = node.client.execute_command("CLUSTER MYID").decode()
    for master in [node, *(each for each in group.masters() if each is not node)]:
        master.client.execute_command("CLUSTER SETSLOT", slot, "NODE", name)
