"""nginx with the example's configuration, and what stands behind it."""

from __future__ import annotations

import getpass
import grp
import os
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.conditions import eventually
from tests.ports import free_port
from tests.servers import ROOT

EXAMPLE = ROOT / "examples/nginx"
APP, ID = {"Host": "app.example.org"}, {"Host": "id.example.org"}
# What Debian's nginx.conf says around the file, with every path in a directory of the test's own.
AROUND = """
daemon off;
worker_processes 1;
user {user} {group};
pid {directory}/nginx.pid;
events {{}}
http {{
    access_log off;
    client_body_temp_path {directory}/body;
    proxy_temp_path {directory}/proxy;
    fastcgi_temp_path {directory}/fastcgi;
    uwsgi_temp_path {directory}/uwsgi;
    scgi_temp_path {directory}/scgi;
    include {directory}/coatcheck.conf;
}}
"""


@contextmanager
def nginx(program: str, directory: Path, coatcheck: int, greeter: int) -> Iterator[str]:
    """Run the example with these ports in the place of its own."""
    directory.mkdir()
    port = free_port()
    example = (EXAMPLE / "coatcheck.conf").read_text()
    for old, new, times in (
        ("listen 8080;", f"listen 127.0.0.1:{port};", 2),
        ("server 127.0.0.1:8000;", f"server 127.0.0.1:{coatcheck};", 1),
        ("server 127.0.0.1:8002;", f"server 127.0.0.1:{greeter};", 1),
    ):
        assert example.count(old) == times
        example = example.replace(old, new)
    (directory / "coatcheck.conf").write_text(example)
    group = grp.getgrgid(os.getgid()).gr_name
    around = AROUND.format(directory=directory, user=getpass.getuser(), group=group)
    (directory / "nginx.conf").write_text(around)
    command = [program, "-p", str(directory), "-c", "nginx.conf", "-e", "stderr"]
    with running(command, directory / "log", port):
        yield f"http://127.0.0.1:{port}"


@contextmanager
def running(command: list[str], log: Path, port: int) -> Iterator[None]:
    """A server, from when it listens on `port` until the end."""
    with log.open("wb") as output:
        process = subprocess.Popen(command, cwd=EXAMPLE, stdout=output, stderr=subprocess.STDOUT)
    try:
        eventually(lambda: process.poll() is not None or listens(port), within=20)
        assert process.poll() is None, log.read_text()
        yield
    finally:
        process.terminate()
        process.wait(20)


def listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=5).close()
    except OSError:
        return False
    return True
