"""A correct history of registrations, and the operations to plant in it."""

from __future__ import annotations

from kits.races.history import Cost, FaultSpan, RegistrationOperation, Row


def operation(
    attempt: str, invoked: float, completed: float, status: int | None, **more: object
) -> RegistrationOperation:
    """A registration of "ada", unless `more` says otherwise."""
    usual = {
        "number": 0,
        "kind": "register",
        "phase": "load",
        "name": "ada",
        "spelling": "Ada",
        "keyed": True,
        "account": 1 if status == 201 else None,
    }
    fields = {"attempt": attempt, "invoked": invoked, "completed": completed, "status": status}
    return RegistrationOperation(**{**usual, **fields, **more})  # type: ignore[arg-type]


def question(invoked: float, reason: str | None) -> RegistrationOperation:
    """The question whether "ada" is available."""
    more = {"kind": "availability", "keyed": False, "reason": reason}
    return operation("", invoked, invoked + 0.01, 200, **more)


def form(attempt: str, invoked: float, status: int | None, **more: object) -> RegistrationOperation:
    """A registration through the form."""
    usual = {"kind": "form", "account": None, "signed_in": status == 303}
    return operation(attempt, invoked, invoked + 0.1, status, **{**usual, **more})


def deletion(
    attempt: str, invoked: float, status: int | None, **more: object
) -> RegistrationOperation:
    usual = {"kind": "delete", "keyed": False}
    return operation(attempt, invoked, invoked + 0.1, status, **{**usual, **more})


def login(attempt: str, status: int, **more: object) -> RegistrationOperation:
    return operation(attempt, 90, 91, status, kind="login", phase="verify", account=None, **more)


# One attempt wins "ada" after its first response is lost, and two lose. "bea" fails, and is free
# afterwards. "dot" is registered with a double click, and deleted.
WON = operation("winner", 1.0, 1.4, 201)
LOST = operation("loser", 1.0, 1.5, 409, keyed=False)
BEA = {"name": "bea", "spelling": "bea"}
DOT = {"name": "dot", "spelling": "dot"}
SECOND_CLICK = form("clicker", 1.02, 303, **DOT)
PROBE = operation("probe", 50, 51, 201, phase="probe", **{**BEA, "account": 2})
CLEAN = (
    question(0.5, None),
    operation("winner", 0.9, 1.0, None),
    WON,
    LOST,
    operation("doubtful", 1.0, 2.0, 503),
    operation("doubtful", 2.1, 2.2, 409),
    question(1.1, "pending"),
    question(3.0, "taken"),
    operation("unlucky", 1.0, 1.1, 503, keyed=False, **BEA),
    PROBE,
    form("clicker", 1.0, None, **DOT),
    SECOND_CLICK,
    deletion("clicker", 4.0, 503, **DOT),
    form("clicker", 4.5, 409, **DOT),
    deletion("clicker", 5.0, 204, **DOT),
    form("clicker", 6.0, 409, **DOT),
    operation("late", 6.0, 6.1, 409, **DOT),
    operation("unlucky", 20.5, 20.6, 503, keyed=False, **DOT),
    operation("other", 20.5, 20.6, 409, **DOT),
    login("clicker", 401, **DOT),
    login("winner", 201),
    login("doubtful", 401),
    login("probe", 201, **BEA),
)
ROWS = (
    Row("ada", 1, committed=1.3, retired=False),
    Row("bea", 2, committed=50.5, retired=False),
    Row("dot", 3, retired=True),
)
FULL = (FaultSpan("redis_full", 20, 30, happened=True),)
COSTS = (Cost("ada", 40, hashes=1, inserts=1), Cost("bea", 40, None, 1))


def without(*left_out: RegistrationOperation) -> tuple[RegistrationOperation, ...]:
    return tuple(each for each in CLEAN if each not in left_out)
