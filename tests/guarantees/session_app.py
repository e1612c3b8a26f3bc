"""An application as a user would build it, with Coatcheck's sessions alone."""

from __future__ import annotations

from flask import Flask, request, session

from service import Coatcheck

app = Flask(__name__)
Coatcheck(app, parts="sessions")


@app.post("/count")
def count() -> str:
    session["count"] = session.get("count", 0) + 1
    return str(session["count"])


@app.post("/size")
def size() -> str:
    return str(len(request.get_data()))
