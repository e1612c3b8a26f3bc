"""Coatcheck: server-side sessions and accounts. An application needs nothing but what is here."""

from service.extension import Coatcheck, create_app
from service.web.access import (
    current_account,
    regenerate,
    require_recent_sign_in,
    require_sign_in,
    sign_in,
    sign_out,
)
from service.web.cross_site import cross_site_exempt
from service.web.signals import (
    account_deleted,
    password_changed,
    registered,
    signed_in,
    signed_out,
)

__all__ = [
    "Coatcheck",
    "account_deleted",
    "create_app",
    "cross_site_exempt",
    "current_account",
    "password_changed",
    "regenerate",
    "registered",
    "require_recent_sign_in",
    "require_sign_in",
    "sign_in",
    "sign_out",
    "signed_in",
    "signed_out",
]
