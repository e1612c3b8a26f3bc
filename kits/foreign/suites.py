"""The foreign suites: where their tests are, what they need, and how long they may take."""

from __future__ import annotations

from dataclasses import dataclass

# Before pytest 9, with which Flask's tests of its command line cannot be imported.
RUNNER = ("pytest==8.4.2", "pytest-timeout==2.4.0")


@dataclass(frozen=True)
class Suite:
    """The tests of one project, or those of its tests that may concern sessions."""

    key: str  # on the command line, in the report and in differences.toml
    source: str  # the distribution with the tests, and its version unless Coatcheck locks one
    tests: tuple[str, ...] = ("tests",)  # files or folders, for pytest
    folder: str = "."  # in which they run, inside of the source distribution
    needs: tuple[str, ...] = ()  # what to install beside what Coatcheck needs
    options: tuple[str, ...] = ()  # for pytest
    seconds: float = 120.0  # for one run
    factory: str = (
        ""  # makes the application, which gets all of Coatcheck and not its sessions alone
    )
    checkout: bool = False  # the source distribution has no tests, but a checkout does

    @property
    def requirements(self) -> tuple[str, ...]:
        """Everything to install beside what Coatcheck needs."""
        return (*RUNNER, *self.needs)


FLASK = ("asgiref==3.13.0", "greenlet==3.5.6", "python-dotenv==1.2.4")
SQL = ("sqlalchemy==2.0.58", "flask-sqlalchemy==3.1.1")

SUITES = [
    Suite("flask", "flask", needs=FLASK),
    Suite(
        "flaskr",
        "flask",
        folder="examples/tutorial",
        needs=FLASK,
        factory="flaskr:create_app",
    ),
    Suite(
        "flask-session",
        "flask-session==0.5.0",  # the last one with tests; they test the locked version
        tests=("test_session.py",),
        needs=SQL,
        options=("-k", "not mongodb and not memcached"),  # which need servers of their own
    ),
    Suite(
        "flask-login",
        "flask-login==0.6.3",
        needs=("flask-login==0.6.3", "asgiref==3.13.0", "semantic-version==2.10.0"),
    ),
    Suite(
        "flask-wtf",
        "flask-wtf==1.3.0",
        needs=("flask-wtf==1.3.0", "flask-babel==4.0.0", "flask-reuploaded==1.6.0"),
    ),
    Suite("flask-principal", "flask-principal", checkout=True),
    Suite(
        "flask-dance",
        "flask-dance==7.1.0",
        needs=(
            "flask-dance==7.1.0",
            *SQL,
            "betamax==0.9.0",
            "flask-caching==2.5.1",
            "flask-login==0.6.3",
            "freezegun==1.5.5",
            "oauthlib[signedtoken]==4.0.1",
            "pytest-mock==3.17.0",
            "responses==0.26.3",
        ),
    ),
    Suite(
        "flask-limiter",
        "flask-limiter==4.1.1",
        needs=(
            "flask-limiter==4.1.1",
            "asgiref==3.13.0",
            "flask-restful==0.3.10",
            "flask-restx==1.3.2",
            "hiro==1.1.1",
            "lovely-pytest-docker==1.0.0",
            "pymemcache==4.0.0",
            "pymongo==4.20.1",
            "pytest-check==3.0.3",
            "pytest-cov==7.1.0",
            "pytest-mock==3.17.0",
            "rich==15.0.0",  # for its command line
        ),
    ),
    Suite(
        "flask-socketio",
        "flask-socketio==5.7.0",
        tests=("test_socketio.py",),
        needs=("flask-socketio==5.7.0",),
    ),
    Suite(
        "flask-security",
        "flask-security==5.9.2",
        needs=(
            "flask-security==5.9.2",
            *SQL,
            "argon2-cffi==25.1.0",
            "authlib==1.9.10",
            "babel==2.18.0",
            "bcrypt==5.0.0",
            "cbor2==6.3.0",
            "cryptography==50.0.2",
            "flask-babel==4.0.0",
            "flask-mail==0.10.0",
            "flask-sqlalchemy-lite==0.2.1",
            "freezegun==1.5.5",
            "mongoengine==0.29.3",
            "mongomock==4.3.0",
            "nh3==0.3.8",
            "peewee==4.5.3",
            "phonenumberslite==9.0.42",
            "qrcode==8.2",
            "requests==2.34.2",
            "sqlalchemy-utils==0.43.0",
            "webauthn==3.0.1",
        ),
        seconds=900.0,
    ),
    Suite(
        "werkzeug",
        "werkzeug",
        needs=(
            "cffi==2.1.1",
            "cryptography==50.0.2",
            "ephemeral-port-reserve==1.1.4",
            "watchdog==7.1.0",
        ),
        options=("-m", "not dev_server"),  # no sessions there, and minutes of waiting
    ),
]
