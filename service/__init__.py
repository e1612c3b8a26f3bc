"""Coatcheck: server-side sessions and accounts. What an application uses is here."""

from service.extension import Coatcheck, create_app

__all__ = ["Coatcheck", "create_app"]
