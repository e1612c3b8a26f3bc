"""The atomic operations on sessions."""

from pathlib import Path

# The text of each file in lua/, by name.
SCRIPTS = {
    file.stem: file.read_text(encoding="utf-8")
    for file in (Path(__file__).parent / "lua").glob("*.lua")
}
