"""Draw a password for each engine at the first start, so that no default one exists anywhere.

Runs before everything else. Each engine sees a volume of its own; only the web service sees the
URLs, which are written anew from the passwords at every start, so that the two cannot disagree. The
URL of the database's owner is for the container that migrates, and the web service does not see it.
The files are readable by everyone who sees the volume: the engines' uids are their images' affair.
"""

import os
import secrets
from pathlib import Path

POSTGRES, REDIS, CACHE, WEB, OWNER = (
    Path("/secrets", name) for name in ("postgres", "redis", "cache", "web", "owner")
)
ACL = Path(__file__).parent / "acl"
# One role owns the database, and another one serves, which gets its rights from `migrate`. The
# image runs this when the data are new. It is safe to repeat, and brings older data, which the
# serving role owned, up to date (docs/operations.md).
CREATE_DATABASE = """\
SELECT 'CREATE ROLE ' || name
FROM unnest(ARRAY['coatcheck_owner', 'coatcheck_service', 'coatcheck']) AS name
WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = name) \\gexec
ALTER ROLE coatcheck_owner LOGIN PASSWORD '{owner}';
ALTER ROLE coatcheck LOGIN PASSWORD '{service}';
GRANT coatcheck_service TO coatcheck;
SELECT 'CREATE DATABASE coatcheck OWNER coatcheck_owner'
WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = 'coatcheck') \\gexec
REVOKE CONNECT ON DATABASE postgres, template1 FROM PUBLIC;
\\connect coatcheck
REASSIGN OWNED BY coatcheck TO coatcheck_owner;
REVOKE EXECUTE ON FUNCTION lo_creat(integer), lo_create(oid), lo_from_bytea(oid, bytea) FROM PUBLIC;
"""
# Nobody can be the default user, but Redis itself needs its rights to replay the log. The health
# check needs no password, and learns nothing about anybody.
REDIS_USERS = """\
user default off resetpass ~* &* +@all
user health on nopass +ping +info
user coatcheck on >{password} {rules}
"""


def main() -> None:
    """Make what is missing; what is there stays."""
    password(POSTGRES / "superuser_password")
    service, owner = password(POSTGRES / "password"), password(POSTGRES / "owner_password")
    write(POSTGRES / "coatcheck.sql", CREATE_DATABASE.format(service=service, owner=owner))
    database = "postgres:5432/coatcheck"
    write(WEB / "database_url", f"postgresql://coatcheck:{service}@{database}")
    write(OWNER / "database_url", f"postgresql://coatcheck_owner:{owner}@{database}")
    for host, directory, acl in (("redis", REDIS, "sessions"), ("cache", CACHE, "cache")):
        word = password(directory / "password")
        users = REDIS_USERS.format(password=word, rules=" ".join(rules(acl)))
        write(directory / "users.acl", users)
        write(WEB / f"{host}_url", f"redis://coatcheck:{word}@{host}:6379/0")
    os.sync()  # Postgres keeps its password for good, so this must not be lost either


def rules(name: str) -> list[str]:
    """The rules in a file of acl/."""
    return [line for line in (ACL / name).read_text().splitlines() if not line.startswith("#")]


def password(file: Path) -> str:
    """The password in `file`, drawn if there is none: letters, digits, `-` and `_` only, which
    need quoting neither in a URL nor in SQL nor in an ACL."""
    if not file.exists():
        write(file, secrets.token_urlsafe(32))
    return file.read_text()


def write(file: Path, text: str) -> None:
    """All of it or nothing, should the machine stop half-way."""
    unfinished = file.with_name(f".{file.name}")
    unfinished.write_text(text)
    unfinished.chmod(0o444)
    unfinished.replace(file)


if __name__ == "__main__":
    main()
