"""Where the engines' programs, sockets and files are, and which users have access."""

import hashlib
import os
import pwd
import shutil
import stat
import sys
import tempfile
from pathlib import Path

LONGEST_SOCKET_PATH = 103  # on macOS; Linux allows four more


def program(wheel: str, *names: str) -> Path:
    """The first that exists: `wheel`, a path in the installed engines, or one of `names` on PATH.

    Raises FileNotFoundError if there is none.
    """
    installed = Path(sys.prefix, "engines", wheel)
    if installed.is_file():
        return installed
    for name in names:
        if found := shutil.which(name):
            return Path(found)
    raise FileNotFoundError(f"neither its wheel nor {' or '.join(names)} on PATH was found")


def socket_directory(directory: Path, socket_name: str) -> Path:
    """`directory` itself, or a substitute with a short path in the temporary directory.

    The name of the substitute is derived from the path, so the next run finds the same one.
    """
    if len(os.fsencode(directory / socket_name)) <= LONGEST_SOCKET_PATH:
        return directory
    fingerprint = hashlib.sha256(os.fsencode(directory)).hexdigest()[:16]
    return Path(tempfile.gettempdir()).resolve() / f"coatcheck-{os.getuid()}-{fingerprint}"


def make_private(directory: Path, owner: pwd.struct_passwd | None) -> None:
    """Create `directory`, or change it, so that only `owner` and root can enter it.

    Raises OSError if that is impossible, or if the directory belongs to another user.
    """
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    found = directory.lstat()
    uid = owner.pw_uid if owner else os.getuid()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid not in (os.getuid(), uid):
        raise PermissionError(f"{directory} belongs to somebody else")
    if owner:
        os.chown(directory, owner.pw_uid, owner.pw_gid)
    directory.chmod(0o700)


def open_the_way(target: Path, owner: pwd.struct_passwd) -> list[Path]:
    """Let `owner` pass through every directory above `target`; returns those that were changed."""
    closed = [
        directory
        for directory in reversed(target.parents)
        if (found := directory.stat()).st_uid != owner.pw_uid and not found.st_mode & stat.S_IXOTH
    ]
    for directory in closed:
        directory.chmod(stat.S_IMODE(directory.stat().st_mode) | stat.S_IXOTH)
    return closed
