"""Fetches what the suites need, once: source distributions, and an environment for each set of
requirements. pip decides where from, as it is configured. Nothing of it comes into the repository.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from kits.foreign.suites import Suite

REQUIREMENTS = Path(__file__).parents[2] / "requirements"
LOCKED = re.compile(r"^([a-z0-9.-]+==[^\\\n]*?) *\\?$", re.MULTILINE)
PATIENCE = 600.0  # seconds for one call of pip


class SourceError(Exception):
    """Something cannot be fetched or installed."""


def default_cache() -> Path:
    """Outside of the repository, so that no suite finds our settings for pytest above its own."""
    home = os.environ.get("XDG_CACHE_HOME")
    return (Path(home) if home else Path.home() / ".cache") / "coatcheck-foreign"


def locked(text: str) -> list[str]:
    """The `name==version` of each distribution in a lock file, with its condition if it has one."""
    return LOCKED.findall(text)


def pinned(source: str, pins: Sequence[str]) -> str:
    """`source` with its own version, or with the one among `pins`.

    Raises:
        SourceError: it has none.
    """
    if "==" in source:
        return source
    for pin in pins:
        if pin.partition("==")[0] == source:
            return pin
    raise SourceError(f"no version of {source} is locked")


class Sources:
    """A cache of source distributions and environments."""

    def __init__(self, cache: Path, checkouts: Path | None) -> None:
        """
        Args:
            cache: a directory.
            checkouts: a directory with a checkout of each suite whose distribution has no tests.
        """
        self._cache = cache.resolve()
        self._checkouts = checkouts.resolve() if checkouts else None
        self._pins = locked((REQUIREMENTS / "base.txt").read_text(encoding="utf-8"))

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other runs away from the cache.

        Raises:
            SourceError: another run uses it.
        """
        self._cache.mkdir(parents=True, exist_ok=True)
        with (self._cache / "lock").open("w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise SourceError(f"another run uses {self._cache}") from None
            yield

    def version(self, suite: Suite) -> str:
        """What is tested, for the report."""
        return "checkout" if suite.checkout else pinned(suite.source, self._pins)

    def tests(self, suite: Suite) -> Path | None:
        """The source distribution or checkout with the tests; None if there is no checkout."""
        if suite.checkout:
            found = self._checkouts / suite.key if self._checkouts else None
            return found if found and found.is_dir() else None
        wanted = pinned(suite.source, self._pins)
        target = self._cache / "sources" / wanted
        if not target.exists():
            self._unpack(wanted, target)
        return target

    def python(self, suite: Suite) -> Path:
        """The interpreter of an environment with all that the suite and Coatcheck need."""
        words = "\n".join((sys.version, *self._pins, *suite.requirements))
        name = hashlib.sha256(words.encode()).hexdigest()[:16]
        environment = self._cache / "environments" / name
        python, stamp = environment / "bin/python", environment / "complete"
        if not stamp.exists():
            _run([sys.executable, "-m", "venv", "--clear", str(environment)])
            pins = environment / "constraints.txt"
            pins.write_text("\n".join(self._pins), encoding="utf-8")
            ours = str(REQUIREMENTS / "base.in")
            _pip(python, "install", "-c", str(pins), "-r", ours, *suite.requirements)
            stamp.touch()  # last, so that an interrupted installation starts again
        return python

    def _unpack(self, wanted: str, target: Path) -> None:
        target.parent.mkdir(exist_ok=True)
        name = wanted.partition("==")[0]
        with tempfile.TemporaryDirectory(dir=self._cache) as directory:
            options = ("--no-deps", "--no-binary", name, "--dest", directory)
            _pip(Path(sys.executable), "download", *options, wanted)
            (archive,) = Path(directory).iterdir()
            with tarfile.open(archive) as file:
                file.extractall(Path(directory, "unpacked"), filter="data")
            (top,) = Path(directory, "unpacked").iterdir()
            top.rename(target)


def _pip(python: Path, *words: str) -> None:
    _run([str(python), "-m", "pip", "--quiet", "--disable-pip-version-check", *words])


def _run(command: list[str]) -> None:
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, timeout=PATIENCE
        )
    except subprocess.TimeoutExpired:
        raise SourceError(f"no end within {PATIENCE:.0f} s: {' '.join(command)}") from None
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if "ERROR" in line] or ["it failed"]
        raise SourceError(f"{lines[0]}: {' '.join(command)}")
