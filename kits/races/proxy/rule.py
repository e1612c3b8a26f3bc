"""A rule that breaks something at one step of a registration or of a session."""

from __future__ import annotations

from dataclasses import dataclass

from kits.races.proxy.protocols import Request


@dataclass(frozen=True)
class Rule:
    """What to do, at which moment of which step.

    The moments: `request`, before a request is passed on; `sent`, right after; `reply`, before the
    reply is passed on; `answered`, right after. The actions: `kill` the worker, `cut` its
    connection, `drop` what passes, `delay` it, `hold` it until the rule is removed, or only `note`
    it.
    """

    engine: str  # redis or postgres
    moment: str
    action: str
    step: str | None = None  # None: any
    name: str | None = None  # None: any
    seconds: float = 0.0  # of a delay
    times: int = 1_000_000
    reply: bytes = b""  # the reply must contain this

    def fits(self, engine: str, moment: str, request: Request, reply: bytes) -> bool:
        """Whether the rule applies at this moment."""
        return (
            (self.engine, self.moment) == (engine, moment)
            and self.step in (None, request.step)
            and self.name in (None, request.name)
            and self.reply in reply
        )
