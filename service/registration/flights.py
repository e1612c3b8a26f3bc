"""Single flight: of all requests of one process for the same name, one goes and the others wait
for what it finds (the idea of Go's x/sync/singleflight).

A thousand waiters then ask Redis as one.
"""

from __future__ import annotations

import threading
from typing import Generic, TypeVar

T = TypeVar("T")


class Flight(Generic[T]):
    """One attempt under way. `found` is set when it has landed; None: it failed."""

    def __init__(self) -> None:
        self._landed = threading.Event()
        self.found: T | None = None

    def wait(self, seconds: float) -> bool:
        """Whether it lands within `seconds`."""
        return self._landed.wait(seconds)

    def land(self, found: T | None) -> None:
        """Tell everybody who waits."""
        self.found = found
        self._landed.set()


class Flights(Generic[T]):
    """The attempts under way in this process, by name."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._flights: dict[str, Flight[T]] = {}

    def join(self, name: str, overdue: Flight[T] | None = None) -> tuple[Flight[T], bool]:
        """The flight for `name`, and whether the caller leads it; the leader must `leave`.

        Args:
            overdue: a flight that the caller has waited for too long. If it is still the one
                under way, the caller leads another in its place.
        """
        with self._lock:
            flight = self._flights.get(name)
            if flight is not None and flight is not overdue:
                return flight, False
            flight = self._flights[name] = Flight()
            return flight, True

    def leave(self, name: str, flight: Flight[T], found: T | None) -> None:
        """End the flight that the caller leads, with what it found; None if it failed."""
        with self._lock:
            if self._flights.get(name) is flight:
                del self._flights[name]
        flight.land(found)
