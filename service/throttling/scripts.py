"""The two atomic operations on limits."""

from pathlib import Path

LUA = Path(__file__).parent / "lua"
CHARGE = (LUA / "charge.lua").read_text(encoding="utf-8")
REFUND = (LUA / "refund.lua").read_text(encoding="utf-8")
