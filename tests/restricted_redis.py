"""A Redis with the users of production: one that may do anything, and the service's own."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

from redis import Redis

from deploy.make_passwords import rules
from service.embedded import RedisEngine

USER = "coatcheck"


class RestrictedRedis(RedisEngine):
    """An engine in which the service may do no more than in production."""

    def __init__(self, directory: Path, *acls: str) -> None:
        """
        Args:
            directory: for its data.
            acls: files in deploy/acl; the service needs all of them if it uses one Redis for
                everything.
        """
        super().__init__(directory, durable=False)
        self._rules = " ".join(rule for acl in acls for rule in rules(acl))

    @property
    def service_url(self) -> str:
        """The address for the service. Its user needs no password here."""
        return self.url.replace("unix://", f"unix://{USER}:any@")

    def _prepare(self) -> None:
        super()._prepare()
        (self.directory / "users.acl").write_text(
            f"user default on nopass ~* &* +@all\nuser {USER} on nopass {self._rules}\n"
        )

    def _command(self) -> list[str]:
        return [*super()._command(), "--aclfile", str(self.directory / "users.acl")]


class Denial(NamedTuple):
    """What the service tried and may not: a command, a key or a channel."""

    reason: str
    what: str


def denials(redis: Redis) -> set[Denial]:
    """What was denied to the service since the log was cleared."""
    entries: list[dict[str, Any]] = redis.acl_log()
    fields = [{_text(name): _text(value) for name, value in each.items()} for each in entries]
    return {Denial(each["reason"], each["object"]) for each in fields if each["username"] == USER}


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
