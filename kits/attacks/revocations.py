"""Every way to end sessions, and accounts with up to two devices to try them on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import httpx

from kits.attacks.deployment import Deployment
from tests.visitors import Visitor

PASSWORD, NEW_PASSWORD = "one battery and a horse", "another battery and a horse"


@dataclass(frozen=True)
class Person:
    """An account and its two devices."""

    name: str
    laptop: Visitor
    phone: Visitor

    def settle(self, sessions: int = 2) -> None:
        """Register, sign in on both devices, and keep so many sessions."""
        self.laptop.register(self.name, PASSWORD).raise_for_status()
        self.phone.sign_in(self.name, PASSWORD).raise_for_status()
        for device in (self.laptop, self.phone)[sessions:]:
            device.api("DELETE", "/sessions/current").raise_for_status()

    def sessions(self) -> tuple[str | None, str | None]:
        """The cookies of both devices; none if the device is signed out."""
        return self.laptop.cookies.get("session"), self.phone.cookies.get("session")


@dataclass(frozen=True)
class Way:
    """A way to end sessions: `act` returns the status, or the exit status of a command."""

    title: str
    act: Callable[[Deployment, Person], int]
    succeeds: int
    ends_laptop: bool  # its session of before; after a password change it has another
    ends_phone: bool
    signs_laptop_out: bool

    def ended(self, sessions: tuple[str | None, str | None]) -> list[str]:
        """Those sessions that the way ends."""
        pairs = zip(sessions, (self.ends_laptop, self.ends_phone), strict=True)
        return [session for session, ends in pairs if session and ends]


def _by_laptop(method: str, path: str, json: object = None) -> Callable[[Deployment, Person], int]:
    return lambda _, person: person.laptop.api(method, path, json).status_code


def _revoke_phone(_: Deployment, person: Person) -> int:
    listed = person.laptop.api("GET", "/sessions")
    if listed.status_code != httpx.codes.OK:
        return listed.status_code
    handle = next(each["handle"] for each in listed.json()["sessions"] if not each["current"])
    return person.laptop.api("DELETE", f"/sessions/{handle}").status_code


def _disable(deployment: Deployment, person: Person) -> int:
    return deployment.command("accounts", "disable", person.name).returncode


PASSWORDS = {"current_password": PASSWORD, "new_password": NEW_PASSWORD}
LOGOUT = Way("logout", _by_laptop("DELETE", "/sessions/current"), 204, True, False, True)
ONE = Way("revocation of one session", _revoke_phone, 204, False, True, False)
OTHERS = Way(
    "scope=others", _by_laptop("DELETE", "/sessions?scope=others"), 200, False, True, False
)
ALL = Way("scope=all", _by_laptop("DELETE", "/sessions?scope=all"), 200, True, True, True)
CHANGE = Way(
    "password change", _by_laptop("PUT", "/account/password", PASSWORDS), 204, True, True, False
)
DELETION = Way(
    "deletion", _by_laptop("DELETE", "/account", {"password": PASSWORD}), 204, True, True, True
)
DISABLE = Way("accounts disable", _disable, 0, True, True, True)
WAYS = (LOGOUT, ONE, OTHERS, ALL, CHANGE, DELETION, DISABLE)
# With how many sessions each is tried. A script that finds nothing to delete frees no memory before
# it writes.
TRIALS = (
    *((way, 2) for way in WAYS),
    *((way, 1) for way in (LOGOUT, OTHERS, ALL, CHANGE, DELETION, DISABLE)),
    (DISABLE, 0),
)
