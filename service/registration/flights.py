"""Single flight: of all the requests in one process for the same name, one proceeds and the others
wait for what it finds (the idea of Go's x/sync/singleflight).

A thousand waiting requests then cost Redis as much as one.
"""

from __future__ import annotations

import threading
from typing import Generic, TypeVar

T = TypeVar("T")


class Flight(Generic[T]):
    """One attempt under way. `found` is set when it lands; None means that it failed."""

    def __init__(self) -> None:
        self._landed = threading.Event()
        self.found: T | None = None

    def wait(self, seconds: float) -> bool:
        """Whether it lands within `seconds`."""
        return self._landed.wait(seconds)

    def land(self, found: T | None) -> None:
        """Wake everyone who is waiting."""
        self.found = found
        self._landed.set()


class Flights(Generic[T]):
    """The attempts under way in this process, by name."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._flights: dict[str, Flight[T]] = {}

    def join(self, name: str, overdue: Flight[T] | None = None) -> tuple[Flight[T], bool]:
        """The flight for `name`, and whether the caller leads it. The leader must call `leave`.

        Args:
            overdue: a flight that has kept the caller waiting too long. If it is still under way,
                the caller leads a new one in its place.
        """
        with self._lock:
            flight = self._flights.get(name)
            if flight is not None and flight is not overdue:
                return flight, False
            flight = self._flights[name] = Flight()
            return flight, True

    def leave(self, name: str, flight: Flight[T], found: T | None) -> None:
        """End the flight that the caller leads, and share what it found; None if it failed."""
        with self._lock:
            if self._flights.get(name) is flight:
                del self._flights[name]
        flight.land(found)
