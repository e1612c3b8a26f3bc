"""A Lua script, called from the event loop."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from typing import Any

from redis.exceptions import NoScriptError, ResponseError

from service.storage.lines import Lines


class LoopScript:
    """Sends the script's digest, and its text only if the server does not have it."""

    def __init__(self, lines: Lines, text: str) -> None:
        self._lines = lines
        self._text = text.encode()
        self._sha = hashlib.sha1(self._text, usedforsecurity=False).hexdigest().encode()

    async def call(self, keys: Sequence[str], arguments: Iterable[object]) -> Any:
        """The script's reply. All keys are in one slot.

        Raises:
            ResponseError: Redis reports an error.
            RedisError, RedisClusterException: Redis does not answer, within a second.
        """
        words = [str(word).encode() for word in (len(keys), *keys, *arguments)]
        try:
            return await self._lines.call(keys[0], b"EVALSHA", self._sha, *words)
        except ResponseError as error:
            if not isinstance(error, NoScriptError) and not str(error).startswith("NOSCRIPT"):
                raise
        return await self._lines.call(keys[0], b"EVAL", self._text, *words)
