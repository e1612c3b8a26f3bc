"""How the API shows accounts and sessions to their owner."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from ua_parser import parse

from service.sessions.record import Device, Owner, Record


def signed_in_json(owner: Owner, record: Record) -> dict[str, Any]:
    """The signed-in account and its current session."""
    return {"account": account_json(owner), "session": _session_json(record.device, current=True)}


def account_json(owner: Owner) -> dict[str, Any]:
    """An account."""
    return {
        "id": owner.account_id,
        "username": owner.username,
        "created_at": rfc3339(owner.created_at),
    }


def sessions_json(devices: list[Device], current: Record) -> list[dict[str, Any]]:
    """The sessions of an account, one of which is `current`."""
    return [_session_json(device, current.has_handle(device.handle)) for device in devices]


def _session_json(device: Device, current: bool) -> dict[str, Any]:
    return {
        "handle": device.handle,
        "current": current,
        "created_at": rfc3339(device.created / 1000),
        "last_seen_at": rfc3339(device.seen / 1000),
        "expires_at": rfc3339(device.expires / 1000),
        "address": device.metadata.address,
        "device": device_name(device.metadata.user_agent),
    }


@lru_cache(maxsize=1024)  # parsing is slow, and most people use the same few browsers
def device_name(user_agent: str) -> str:
    """Browser and system, as far as the User-Agent says: "Firefox on Linux"."""
    found = parse(user_agent)
    browser = found.user_agent.family if found.user_agent else "Unknown program"
    return f"{browser} on {found.os.family}" if found.os else browser


@lru_cache(maxsize=4096)  # the times of a session rarely change, however often it is checked
def rfc3339(seconds: float) -> str:
    """Unix seconds as RFC 3339, UTC, to the millisecond."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")[:-6] + "Z"
