"""gunicorn's settings. `gunicorn -c gunicorn.conf.py 'service:create_app()'`"""

import os
import shutil
import sys
import tempfile
from pathlib import Path

from service import configuration
from service.front.listening import (
    name_addresses,
    require_a_store_for_us_alone,
    require_a_store_that_keeps_sessions,
    require_free_addresses,
)

MEMORY = "/dev/shm"  # noqa: S108
METRICS = "coatcheck-metrics-"
OURS = "service:create_app()"

try:
    # Another application may have sessions alone; if it has accounts, it checks the rest itself.
    of = configuration.config  # `config` is the name of a setting of gunicorn
    settings = of.load() if OURS in sys.argv else of.load_for_sessions()
    of.require_safe(settings)
except configuration.config.ConfigurationError as problem:
    # The master reports it once; otherwise every new worker would fail in turn.
    sys.exit(f"Error: {problem}")

bind = f"{settings.bind}:{settings.port}"
reuse_port = True  # with one socket for all workers, a single worker may take all connections
workers = settings.web_concurrency
worker_class = "service.front.worker.Worker"
worker_connections = 8192  # per worker
preload_app = False  # each worker opens its own connections after the fork
timeout = 30
graceful_timeout = 20
keepalive = 5
http_parser = "auto"  # in C if requirements/fast.txt could be compiled, else in Python
limit_request_line = 4094
limit_request_fields = 64
limit_request_field_size = 8190
forwarded_allow_ips = ""  # COATCHECK_TRUSTED_PROXIES decides which headers count
forwarder_headers = ""
secure_scheme_headers: dict[str, str] = {}
control_socket_disable = True  # its file would be in HOME
if os.access(MEMORY, os.W_OK):
    worker_tmp_dir = MEMORY  # the root file system may be read-only
if "PROMETHEUS_MULTIPROC_DIR" not in os.environ:  # this file is read again at each reload
    # All workers count here, so each of them can report the sums.
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = tempfile.mkdtemp(prefix=METRICS)


def on_starting(server: object) -> None:
    """Stop a start that would go wrong later."""
    name_addresses(server)
    require_free_addresses(server)
    if settings.is_exposed:
        require_a_store_that_keeps_sessions(settings.redis_url)
        if of.is_remote(settings.redis_url):
            require_a_store_for_us_alone(settings.redis_url)


def on_exit(server: object) -> None:  # noqa: ARG001
    """Delete the counts, unless an operator chose their directory."""
    counts = Path(os.environ["PROMETHEUS_MULTIPROC_DIR"])
    if counts.name.startswith(METRICS):
        shutil.rmtree(counts, ignore_errors=True)
