"""The audit trail of an account as its owner reads it."""

from __future__ import annotations

from typing import Any

from service.audit.entry import COMMAND_LINE, Event, printable
from service.audit.trail import Activity
from service.web.shapes import device_name, rfc3339

SENTENCES: dict[str, str] = {
    Event.REGISTERED: "Registered",
    Event.SIGNED_IN: "Signed in with {methods}",
    Event.SIGN_IN_REFUSED: "A sign-in was refused: {reason}",
    Event.SIGNED_OUT: "Signed out",
    Event.SESSION_REVOKED: "Signed another device out",
    Event.OTHERS_REVOKED: "Signed out everywhere else",
    Event.ALL_REVOKED: "Signed out everywhere",
    Event.PASSWORD_REFUSED: "A wrong password was given",
    Event.PASSWORD_CHANGED: "Changed the password",
    Event.DISABLED: "The account was disabled",
    Event.ENABLED: "The account was enabled",
    Event.UNLOCKED: "The wrong passwords were forgotten",
    Event.DELETED: "The account was deleted",
}
METHODS = {"password": "a password", "application": "a proof of its own"}
REASONS = {
    "wrong_password": "wrong password",
    "overtaken": "the account was changing at that moment",
    "no_session_store": "the service was interrupted at that moment",
}
OPERATOR = "an operator"


def activity_json(entry: Activity) -> dict[str, Any]:
    """An entry for programs, with a sentence for people."""
    return {
        "id": entry.id,
        "at": rfc3339(entry.at.timestamp()),
        "event": entry.event,
        **entry.particulars,
        "description": description(entry),
        "address": entry.address,
        "device": device_of(entry),
        "session": entry.session,
    }


def description(entry: Activity) -> str:
    """What happened, in words."""
    methods = [METHODS.get(each, each) for each in entry.particulars.get("methods", ())]
    reason = entry.particulars.get("reason", "")
    sentence = SENTENCES.get(entry.event, entry.event)
    return sentence.format(methods=" and ".join(methods), reason=REASONS.get(reason, reason))


def device_of(entry: Activity) -> str:
    """The program that asked for it: "Firefox on Linux"."""
    if (entry.address, entry.device) == COMMAND_LINE:
        return OPERATOR
    return printable(device_name(entry.device))
