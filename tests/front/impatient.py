"""The worker with limits that a test can wait for. For gunicorn's -k."""

from service.front import bridge, limited_connection
from service.front.worker import Worker as Patient

LIMIT = 1.0  # seconds

limited_connection.HEAD_LIMIT = limited_connection.WRITE_LIMIT = bridge.BODY_LIMIT = LIMIT


class Worker(Patient):
    """Gives up after a second."""
