"""What has happened, for an application that wants to act on it (Flask's signals, by blinker).

The sender is the application, and `account` is the `Owner` whom it concerns. Receivers run in the
request that causes the signal, after the fact; one that fails turns the response into a 500.
"""

from __future__ import annotations

from blinker import Namespace, Signal
from flask import current_app

from service.sessions.record import Owner

_signals = Namespace()
registered = _signals.signal("registered")  # again if a client repeats its request
signed_in = _signals.signal("signed_in")
signed_out = _signals.signal("signed_out")
password_changed = _signals.signal("password_changed")
account_deleted = _signals.signal("account_deleted")


def send(signal: Signal, account: Owner) -> None:
    """Tell the receivers of `signal`."""
    if signal.receivers:
        signal.send(current_app._get_current_object(), account=account)  # type: ignore[attr-defined]
