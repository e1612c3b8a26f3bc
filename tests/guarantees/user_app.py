"""An application as a user would build it: Coatcheck with views of their own."""

from __future__ import annotations

import os

from flask import session

from service import create_app

app = create_app()


@app.post("/note/<text>")
def write(text: str) -> dict[str, object]:
    session["note"] = text
    return {"pid": os.getpid()}


@app.get("/note")
def read() -> dict[str, object]:
    return {"pid": os.getpid(), "note": session.get("note")}


@app.get("/plain")
def plain() -> str:
    """Looks at no session."""
    return "plain"
