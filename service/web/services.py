"""What views may call, as create_app wired it."""

from __future__ import annotations

from dataclasses import dataclass

from flask import current_app

from service.accounts.login import Login
from service.accounts.registration import Registration
from service.accounts.repository import AccountRepository
from service.accounts.revocation import Revocation
from service.accounts.username_cache import UsernameCache
from service.sessions.interface import SessionInterface
from service.sessions.store import SessionStore
from service.storage.postgres import Postgres

EXTENSION = "coatcheck"


@dataclass(frozen=True)
class Services:
    """Every object that a view needs."""

    postgres: Postgres
    accounts: AccountRepository
    username_cache: UsernameCache
    registration: Registration
    login: Login
    revocation: Revocation
    session_store: SessionStore
    session_interface: SessionInterface


def services() -> Services:
    """Those of the application that serves this request."""
    found: Services = current_app.extensions[EXTENSION]
    return found
