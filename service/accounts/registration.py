"""Registration: where a name is decided to be taken, and nowhere else."""

from __future__ import annotations

import random
import secrets
import time

import structlog

from service.accounts import passwords, usernames
from service.accounts.account import Account
from service.accounts.passwords import PasswordHasher
from service.accounts.repository import AccountRepository
from service.accounts.username_cache import State, UsernameCache
from service.accounts.usernames import Username
from service.errors import FieldError, InvalidInput, UsernameCacheUnavailable, UsernameTaken
from service.sessions.ids import new_locator

log = structlog.get_logger()

RIVAL_TIMEOUT = 3.0  # seconds that an attempt waits for a rival's, before it goes ahead unclaimed
POLL_INTERVAL = 0.05


class Registration:
    """Registers accounts: one winner for each name, at the price of one hash.

    The order is cache, claim, index, hash, INSERT, publish, so that each step is reached only by
    those whom the cheaper one before it could not turn away.
    """

    def __init__(
        self, accounts: AccountRepository, cache: UsernameCache, hasher: PasswordHasher
    ) -> None:
        self._accounts = accounts
        self._cache = cache
        self._hasher = hasher

    def register(self, raw_username: str, raw_password: str) -> Account:
        """Create an account.

        Returns:
            The account; its row is committed.

        Raises:
            InvalidInput: username or password cannot be accepted; says all that is wrong.
            UsernameTaken: a committed row has the name.
            DatabaseUnavailable: Postgres does not answer.
            TooManyHashes: too many passwords are waiting to be hashed.
        """
        username, password = _validated(raw_username, raw_password)
        token = secrets.token_urlsafe(12)
        claimed = self._claim(username, token)
        try:
            return self._create(username, password)
        except UsernameTaken:
            raise
        except BaseException:
            if claimed:
                self._release(username, token)
            raise

    def availability(self, raw_username: str) -> str | None:
        """Why the name cannot be registered right now: taken, pending, reserved or invalid; None
        if it can.

        Raises:
            DatabaseUnavailable: Postgres had to be asked, and does not answer.
        """
        try:
            username = usernames.parse(raw_username)
        except InvalidInput:
            return "invalid"
        if username.is_reserved:
            return "reserved"
        try:
            state = self._cache.state(username)
        except UsernameCacheUnavailable:
            state = State.ABSENT
        if state is not State.ABSENT:
            return str(state.value)
        if self._accounts.is_taken(username):
            self._publish(username)
            return "taken"
        return None

    def _claim(self, username: Username, token: str) -> bool:
        """Wait for the right to go ahead. False: without a claim, since Redis or a rival does not
        come back in time; the index decides all the same."""
        deadline = time.monotonic() + RIVAL_TIMEOUT
        try:
            while (state := self._cache.claim(username, token)) is State.PENDING:
                if time.monotonic() > deadline:
                    return False
                time.sleep(POLL_INTERVAL * random.uniform(0.5, 1.5))
        except UsernameCacheUnavailable:
            log.warning("username_cache_unavailable", step="claim")
            return False
        if state is State.TAKEN:
            raise UsernameTaken
        return True

    def _create(self, username: Username, password: str) -> Account:
        if self._accounts.is_taken(username):
            self._publish(username)
            raise UsernameTaken
        password_hash = self._hasher.hash(password)
        account = self._accounts.insert(username, password_hash, new_locator())
        self._publish(username)
        if account is None:
            raise UsernameTaken
        return account

    def _publish(self, username: Username) -> None:
        try:
            self._cache.publish_taken(username)
        except UsernameCacheUnavailable:
            log.warning("username_cache_unavailable", step="publish")

    def _release(self, username: Username, token: str) -> None:
        try:
            self._cache.release(username, token)
        except UsernameCacheUnavailable:
            log.warning("username_cache_unavailable", step="release")


def _validated(raw_username: str, raw_password: str) -> tuple[Username, str]:
    errors: list[FieldError] = []
    username = password = None
    try:
        username = usernames.parse(raw_username)
        if username.is_reserved:
            errors.append(FieldError("username", "reserved", "That username is reserved."))
    except InvalidInput as error:
        errors += error.errors
    try:
        password = passwords.check_new(raw_password)
    except InvalidInput as error:
        errors += error.errors
    if errors or username is None or password is None:
        raise InvalidInput(*errors)
    return username, password
