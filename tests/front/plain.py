"""The bridge alone: gunicorn's worker for a WSGI application that is not Coatcheck's."""

from typing import Any

from service.front.bridge import Bridge
from service.front.worker import Worker as Fronted

THREADS = 2
MAX_BODY = 1024 * 1024  # bytes


class Worker(Fronted):
    """Two threads, in which a request waits for its turn as long as a test may take."""

    def front(self, application: Any) -> Any:
        return Bridge(application, THREADS, longest_wait=10.0, max_body=MAX_BODY)
