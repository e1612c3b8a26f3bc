"""gunicorn with a socket for each worker."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

from tests.servers import ROOT, Server


def test_a_second_service_on_the_same_port_does_not_start(
    impatient: Server, environ: dict[str, str], tmp_path: Path
) -> None:
    address = urlsplit(impatient.url).netloc
    command = [sys.executable, "-m", "gunicorn", "-c", "gunicorn.conf.py", "--bind", address]
    counts = {"PROMETHEUS_MULTIPROC_DIR": str(tmp_path)}
    second = subprocess.run(
        [*command, "service:create_app()"],
        cwd=ROOT,
        env={**os.environ, **environ, **counts},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert second.returncode == 1
    assert f"Error: Cannot listen on {address}: Address already in use" in second.stderr
