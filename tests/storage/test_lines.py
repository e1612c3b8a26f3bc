"""Redis from the event loop: one server, Sentinel's master, the nodes of a Cluster."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import ssl
import subprocess
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import hiredis
import pytest
from redis import Redis
from redis.asyncio import Connection
from redis.exceptions import (
    ConnectionError,
    RedisClusterException,
    RedisError,
    ResponseError,
    TimeoutError,
)

from service.embedded import RedisEngine
from service.storage.line import Line
from service.storage.lines import ONCE, Lines, connect
from service.storage.wire import packed
from tests.conditions import eventually as eventually_in_a_thread
from tests.loops import eventually, on_loop
from tests.redis_engines import HOST, Group, Node

KEY = "key"
LIMIT = 1.1  # seconds: what the service promises, and a little for a busy machine
FAILED = (RedisError, RedisClusterException)


class One:
    """One Redis."""

    def __init__(self, engine: RedisEngine) -> None:
        self.url = engine.url
        self._pid = engine.pid

    def client(self) -> Redis:
        """Of the server that has the key."""
        return Redis.from_url(self.url, protocol=2)

    @contextmanager
    def frozen(self) -> Iterator[None]:
        os.kill(self._pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(self._pid, signal.SIGCONT)


class Several:
    """A Cluster, or a master with its Sentinels."""

    def __init__(self, group: Group) -> None:
        self.url = group.url
        self.group = group

    def client(self) -> Redis:
        return self.group.master(KEY).client

    @contextmanager
    def frozen(self) -> Iterator[None]:
        with stopped(self.group.all()):
            yield


@contextmanager
def stopped(nodes: list[Node]) -> Iterator[None]:
    for node in nodes:
        node.freeze()
    try:
        yield
    finally:
        for node in nodes:
            node.thaw()


@pytest.fixture(params=["redis_engine", "sentinel_engine", "cluster_engine"])
def place(request: pytest.FixtureRequest) -> One | Several:
    engine = request.getfixturevalue(request.param)
    found = One(engine) if isinstance(engine, RedisEngine) else Several(engine)
    found.client().flushall()
    found.client().set(KEY, "value")
    return found


@pytest.fixture(params=["sentinel_engine", "cluster_engine"])
def group(request: pytest.FixtureRequest) -> Iterator[Group]:
    """A master with a replica to take its place; whole again afterwards."""
    group: Group = request.getfixturevalue(request.param)
    yield group
    group.heal()


@asynccontextmanager
async def lines_to(url: str) -> AsyncIterator[Lines]:
    lines = connect(url)
    try:
        yield lines
    finally:
        await lines.close()


async def get(lines: Lines, key: str = KEY) -> Any:
    """What GET replies. Either way it must be done within a second."""
    loop = asyncio.get_running_loop()
    started = loop.time()
    try:
        return await lines.call(key, b"GET", key.encode())
    finally:
        assert loop.time() - started < LIMIT


async def answers(lines: Lines, key: str = KEY) -> bool:
    try:
        await get(lines, key)
    except FAILED:
        return False
    return True


async def until_it_answers(lines: Lines, key: str = KEY, within: float = 10.0) -> None:
    async with asyncio.timeout(within):
        while not await answers(lines, key):
            await asyncio.sleep(0.01)


@on_loop
async def test_g11_reads_that_are_in_flight_together_travel_as_one_pipeline(
    place: One | Several,
) -> None:
    async with lines_to(place.url) as lines:
        await get(lines)
        client = place.client()
        client.config_resetstat()
        before = client.info("stats")["total_reads_processed"]
        replies = await asyncio.gather(*(get(lines) for _ in range(200)))
        packets = client.info("stats")["total_reads_processed"] - before
        calls = client.info("commandstats")["cmdstat_get"]["calls"]
    assert replies == [b"value"] * 200
    assert calls == 200
    assert packets < 10  # the pipeline, what replicas say, and this test's own questions


@on_loop
async def test_a_batch_has_so_many_commands_and_no_more(
    redis: Redis, redis_engine: RedisEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.storage.line.LARGEST", 10)
    async with lines_to(redis_engine.url) as lines:
        numbers = [lines.call(KEY, b"ECHO", str(number).encode()) for number in range(105)]
        assert await asyncio.gather(*numbers) == [str(n).encode() for n in range(105)]


@on_loop
async def test_one_connection_carries_everything(redis: Redis, redis_engine: RedisEngine) -> None:
    async with lines_to(redis_engine.url) as lines:
        before = len(redis.client_list())
        for _ in range(5):
            await asyncio.gather(*(get(lines) for _ in range(50)))
        assert len(redis.client_list()) == before + 1


@on_loop
async def test_a_redis_that_hangs_is_an_error_within_a_second_and_no_late_answer_is_taken(
    place: One | Several,
) -> None:
    async with lines_to(place.url) as warm, lines_to(place.url) as cold:
        await get(warm)
        with place.frozen():
            for lines in (warm, warm, cold):
                assert not await answers(lines)
            several = await asyncio.gather(*(answers(warm) for _ in range(20)))
            assert several == [False] * 20
        await until_it_answers(warm)
        for number in range(20):
            echo = await warm.call(KEY, b"SETRANGE", KEY.encode(), b"0", b"x" * number)
            assert echo == max(5, number)
        await until_it_answers(cold)


@on_loop
async def test_a_hang_that_ends_in_time_is_no_error(place: One | Several) -> None:
    loop = asyncio.get_running_loop()
    async with lines_to(place.url) as lines:
        await get(lines)
        with place.frozen():
            asked = asyncio.ensure_future(get(lines))
            until = loop.time() + 0.1
            await eventually(lambda: loop.time() > until)
            assert not asked.done()
        assert await asked == b"value"


@on_loop
async def test_a_connection_that_was_killed_is_replaced_without_an_error(
    place: One | Several,
) -> None:
    async with lines_to(place.url) as lines:
        for _ in range(5):
            await get(lines)
            place.client().client_kill_filter(_type="normal", skipme=True)
            replies = await asyncio.gather(*(get(lines) for _ in range(10)))
            assert replies == [b"value"] * 10


@on_loop
async def test_an_error_that_redis_reports_is_raised_where_it_belongs(
    place: One | Several,
) -> None:
    place.client().lpush("{key}list", "item")
    async with lines_to(place.url) as lines:
        outcomes = await asyncio.gather(
            get(lines),
            lines.call(KEY, b"GET", b"{key}list"),
            get(lines),
            lines.call(KEY, b"NO-SUCH-COMMAND"),
            lines.call(KEY, b"GET"),
            get(lines),
            return_exceptions=True,
        )
    assert outcomes[0] == outcomes[2] == outcomes[5] == b"value"
    assert [type(outcomes[n]) for n in (1, 3, 4)] == [ResponseError] * 3
    assert str(outcomes[1]).startswith("WRONGTYPE")


@on_loop
async def test_a_request_that_gives_up_takes_nobody_elses_answer(place: One | Several) -> None:
    async with lines_to(place.url) as lines:
        await get(lines)
        leaves = asyncio.ensure_future(lines.call(KEY, b"STRLEN", KEY.encode()))
        stays = asyncio.ensure_future(get(lines))
        await asyncio.sleep(0)
        leaves.cancel()
        assert await stays == b"value"
        assert await get(lines) == b"value"


@pytest.mark.parametrize(
    "url",
    [
        "redis://127.0.0.1:1",
        "unix:///nowhere/redis.sock",
        "redis+sentinel://127.0.0.1:1,127.0.0.1:2/coatcheck",
        "redis+cluster://127.0.0.1:1,127.0.0.1:2",
        "redis://" + "x" * 64 + ".invalid",
    ],
)
@on_loop
async def test_nobody_there_is_an_error_every_time(url: str) -> None:
    async with lines_to(url) as lines:
        for _ in range(3):
            assert await asyncio.gather(*(answers(lines) for _ in range(3))) == [False] * 3


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
    key = key_with_a_replica(group)
    loop = asyncio.get_running_loop()
    async with lines_to(group.url) as lines:
        await lines.call(key, b"SET", key.encode(), b"before")
        old = group.master(key)
        eventually_in_a_thread(lambda: all_have(group, key))
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
    key = key_with_a_replica(group)
    async with lines_to(group.url) as lines:
        await lines.call(key, b"SET", key.encode(), b"before")
        old = group.master(key)
        eventually_in_a_thread(lambda: all_have(group, key))
        old.freeze()
        try:
            await until_it_answers(lines, key, within=15)
            assert await get(lines, key) == b"before"
        finally:
            old.thaw()
            if group.sentinels:  # they would take ten seconds to say so
                [new] = [node for node in group.nodes if node is not old]
                old.client.replicaof(HOST, new.port)
        eventually_in_a_thread(lambda: old.client.info("replication")["role"] == "slave")
        assert await lines.call(key, b"SET", key.encode(), b"after") in (b"OK", True)


@on_loop
async def test_a_node_that_hangs_fails_none_but_its_own_keys(cluster_engine: Group) -> None:
    async with lines_to(cluster_engine.url) as lines:
        keys = [f"key-{number}" for number in range(30)]
        for key in keys:
            await get(lines, key)
        frozen = cluster_engine.nodes[2]  # which has no replica
        its_own = [key for key in keys if cluster_engine.master(key) is frozen]
        assert 0 < len(its_own) < 30
        with stopped([frozen]):
            asked = [asyncio.ensure_future(answers(lines, key)) for key in its_own]
            started = asyncio.get_running_loop().time()
            for key in set(keys) - set(its_own):
                assert await answers(lines, key)
            assert asyncio.get_running_loop().time() - started < 0.3
            assert await asyncio.gather(*asked) == [False] * len(its_own)
        await until_it_answers(lines, its_own[0])


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


def key_with_a_replica(group: Group) -> str:
    keys = [f"key-{number}" for number in range(30)]
    return eventually_in_a_thread(
        lambda: next((key for key in keys if all_have(group, key)), None), within=20
    )


def all_have(group: Group, key: str) -> bool:
    """Whether the master of the key has a replica, and the replica has all that the master has."""
    replication = group.master(key).client.info("replication")
    replica = replication.get("slave0")
    return bool(replica and replica["offset"] == replication["master_repl_offset"])


# TLS, with a proxy that ends it: the redis-server of the tests speaks none.


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("tls")
    path = directory / "localhost.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
         "-nodes", "-days", "2", "-subj", "/CN=localhost", "-addext",
         "subjectAltName=DNS:localhost,IP:127.0.0.1",
         "-keyout", directory / "key.pem", "-out", path],
        check=True, capture_output=True,
    )  # fmt: skip
    path.write_bytes(path.read_bytes() + (directory / "key.pem").read_bytes())
    return path


@asynccontextmanager
async def tls_before(url: str, certificate: Path) -> AsyncIterator[int]:
    """The port at which TLS is spoken for the Redis at `url`."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)
    pipes: set[asyncio.Task[None]] = set()

    async def pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(65536):
                writer.write(data)
        writer.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        inner_reader, inner_writer = await asyncio.open_unix_connection(urlsplit(url).path)
        pipes.update(
            {
                asyncio.ensure_future(pipe(reader, inner_writer)),
                asyncio.ensure_future(pipe(inner_reader, writer)),
            }
        )

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        await asyncio.wait(pipes, timeout=5)


@on_loop
async def test_tls_is_spoken_and_its_certificate_is_checked(
    redis: Redis, redis_engine: RedisEngine, certificate: Path
) -> None:
    redis.set(KEY, "x" * 300_000)
    async with tls_before(redis_engine.url, certificate) as port:
        trusting = f"rediss://localhost:{port}/0?ssl_ca_certs={certificate}"
        async with lines_to(trusting) as lines:
            replies = await asyncio.gather(*(get(lines) for _ in range(20)))
            assert {len(reply) for reply in replies} == {300_000}
            redis.client_kill_filter(_type="normal", skipme=True)
            assert len(await get(lines)) == 300_000
        async with lines_to(f"rediss://localhost:{port}/0") as lines:
            assert not await answers(lines)


# What no healthy Redis does, with something in its place.


class Fake:
    """In place of a Redis: answers introductions, and does with the rest what the test says."""

    def __init__(self, behave: Callable[[asyncio.StreamWriter, bytes], None]) -> None:
        self.connections = 0
        self._behave = behave

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[Line]:
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]

        async def open_() -> Connection:
            connection = Connection(host="127.0.0.1", port=port, **ONCE)
            await connection.connect()
            return connection

        line = Line(open_)
        try:
            yield line
        finally:
            line.close()
            server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        parser = hiredis.Reader()
        with contextlib.suppress(OSError):
            while data := await reader.read(65536):
                parser.feed(data)
                while (command := parser.gets()) is not False:
                    if command[0] == b"CLIENT":
                        writer.write(b"+OK\r\n")
                    else:
                        self._behave(writer, command[1])
        writer.close()


def bulk(value: bytes) -> bytes:
    return b"$%d\r\n%b\r\n" % (len(value), value)


async def ask(line: Line, word: bytes) -> Any:
    return await asyncio.wait_for(line.send(packed(b"GET", word)), LIMIT)


@on_loop
async def test_a_reply_in_pieces_is_put_together() -> None:
    loop = asyncio.get_running_loop()

    def drip(writer: asyncio.StreamWriter, word: bytes) -> None:
        for number, byte in enumerate(bulk(word)):
            loop.call_later(number * 0.001, writer.write, bytes([byte]))

    async with Fake(drip).serving() as line:
        assert await ask(line, b"hello") == b"hello"
        assert await ask(line, b"") == b""


@on_loop
async def test_a_connection_that_ends_under_way_is_replaced_once_for_each_batch() -> None:
    fake = Fake(lambda writer, _: writer.transport.abort())
    async with fake.serving() as line:
        with pytest.raises(ConnectionError):
            await ask(line, b"first")
        assert fake.connections == 1  # it had just been opened
        fake._behave = lambda writer, word: writer.write(bulk(word))
        assert await ask(line, b"second") == b"second"
        fake._behave = lambda writer, _: writer.transport.abort()
        outcomes = await asyncio.gather(
            *(ask(line, b"third") for _ in range(5)), return_exceptions=True
        )
        assert [type(outcome) for outcome in outcomes] == [ConnectionError] * 5
        assert len({id(outcome) for outcome in outcomes}) == 5
        assert fake.connections == 3


@on_loop
async def test_what_is_no_reply_ends_the_connection() -> None:
    fake = Fake(lambda writer, _: writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n"))
    async with fake.serving() as line:
        with pytest.raises(ConnectionError, match="RESP"):
            await ask(line, b"first")
        fake._behave = lambda writer, word: writer.write(bulk(word))
        assert await ask(line, b"second") == b"second"
        assert fake.connections == 2


@on_loop
async def test_half_the_replies_are_none() -> None:
    """Those that came are not kept for the commands of the next batch."""
    fake = Fake(lambda writer, word: word == b"odd" and writer.write(bulk(word)))
    async with fake.serving() as line:
        asked = [ask(line, word) for word in (b"odd", b"even", b"odd")]
        outcomes = await asyncio.gather(*asked, return_exceptions=True)
        assert [type(outcome) for outcome in outcomes] == [TimeoutError] * 3
        fake._behave = lambda writer, word: writer.write(bulk(word))
        assert await ask(line, b"next") == b"next"


@on_loop
async def test_a_late_answer_is_not_taken_for_that_of_the_next_command() -> None:
    asked: list[asyncio.StreamWriter] = []

    def behave(writer: asyncio.StreamWriter, word: bytes) -> None:
        asked.append(writer)
        if len(asked) > 1:
            is_late = writer is asked[0]
            writer.write(bulk(b"first" if is_late else word))

    async with Fake(behave).serving() as line:
        with pytest.raises(TimeoutError):
            await ask(line, b"first")
        assert await ask(line, b"second") == b"second"


@on_loop
async def test_those_who_come_while_a_batch_is_stuck_wait_a_second_in_all() -> None:
    loop = asyncio.get_running_loop()
    fake = Fake(lambda *_: None)
    async with fake.serving() as line:
        first = asyncio.ensure_future(ask(line, b"first"))
        until = loop.time() + 0.2
        await eventually(lambda: loop.time() > until)
        started = loop.time()
        second = asyncio.ensure_future(ask(line, b"second"))
        for asked in (first, second):
            with pytest.raises((TimeoutError, ConnectionError)):
                await asked
        assert loop.time() - started < LIMIT


@pytest.mark.parametrize(
    "error", [ValueError("of a setting"), UnicodeError("of a host's name"), RuntimeError("any")]
)
@on_loop
async def test_whatever_goes_wrong_with_a_connection_leaves_nobody_waiting(
    error: Exception,
) -> None:
    async def open_() -> Connection:
        raise error

    line = Line(open_)
    for _ in range(2):
        with pytest.raises(FAILED):
            await asyncio.wait_for(line.send(packed(b"PING")), LIMIT)


@on_loop
async def test_a_line_that_was_closed_opens_again_when_it_is_needed(
    redis: Redis, redis_engine: RedisEngine
) -> None:
    lines = connect(redis_engine.url)
    for _ in range(2):
        assert await get(lines) is None
        await lines.close()


def test_commands_are_packed_as_the_protocol_says() -> None:
    reader = hiredis.Reader()
    words = [b"SET", b"", b"\r\n", bytes(range(256)), "ü".encode()]
    reader.feed(packed(*words))
    assert reader.gets() == words
