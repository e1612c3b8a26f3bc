"""TLS, with a proxy that ends it: the redis-server of the tests speaks none."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from redis import Redis

from service.embedded import RedisEngine
from tests.loops import on_loop
from tests.storage.lines import KEY, answers, get, lines_to


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
