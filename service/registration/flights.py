"""Single flight: of all the requests in one process for the same name, one leads, and the others
wait for what it finds (the idea of Go's x/sync/singleflight).

A thousand waiting requests then cost Redis as much as one.
"""

from __future__ import annotations

import threading
from concurrent.futures import Future

from service.registration.username_cache import Taken

Flight = Future[Taken | None]  # what its leader finds; None if it fails


class Flights:
    """The flights under way in this process, by name."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._flights: dict[str, Flight] = {}

    def join(self, name: str, overdue: Flight | None = None) -> tuple[Flight, bool]:
        """The flight for `name`, and whether the caller leads it. The leader must call `leave`.

        Args:
            overdue: a flight that has kept the caller waiting too long. If it is still under way,
                the caller leads a new one in its place.
        """
        with self._lock:
            flight = self._flights.get(name)
            if flight is not None and flight is not overdue:
                return flight, False
            flight = self._flights[name] = Future()
            return flight, True

    def leave(self, name: str, flight: Flight, found: Taken | None) -> None:
        """End the flight that the caller leads, and tell the others what it found."""
        with self._lock:
            if self._flights.get(name) is flight:
                del self._flights[name]
        flight.set_result(found)
