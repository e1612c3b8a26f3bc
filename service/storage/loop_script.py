"""A Lua script, called from the event loop."""

from __future__ import annotations

import hashlib
from typing import Any, NamedTuple

from redis.exceptions import NoScriptError, ResponseError

from service.storage.lines import Lines


class ScriptCall(NamedTuple):
    """What a script is called with. All keys are in one slot."""

    keys: list[str]
    arguments: list[str | int]


class LoopScript:
    """Sends the script's digest, and its text only if the server does not have it."""

    def __init__(self, lines: Lines, text: str) -> None:
        self._lines = lines
        self._text = text.encode()
        self._sha = hashlib.sha1(self._text, usedforsecurity=False).hexdigest().encode()

    async def run(self, call: ScriptCall) -> Any:
        """The script's reply.

        Raises:
            ResponseError: Redis reports an error.
            RedisError, RedisClusterException: Redis does not answer, within a second.
        """
        words = [str(word).encode() for word in (len(call.keys), *call.keys, *call.arguments)]
        try:
            return await self._lines.call(call.keys[0], b"EVALSHA", self._sha, *words)
        except ResponseError as error:
            if not isinstance(error, NoScriptError) and not str(error).startswith("NOSCRIPT"):
                raise
        return await self._lines.call(call.keys[0], b"EVAL", self._text, *words)
