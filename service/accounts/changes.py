"""The statements that change accounts, each with everything that follows from the change.

One statement is one transaction: whatever it changes, the audit trail says so, and if it ends
sessions, there is a revocation for Redis. Parameters: those named here, and `Entry.columns`.
"""

from __future__ import annotations

from typing import Final

from service.audit.trail import ENTRY_OF_ACCOUNT

ACCOUNT: Final = "id, username, session_locator, session_epoch, created_at"

AND_AUDIT: Final = f"""
    entry AS ({ENTRY_OF_ACCOUNT})
    SELECT {ACCOUNT} FROM account
"""
AND_REVOKE: Final = f"""
    revocation AS (
        INSERT INTO revocations (locator, epoch, kept)
        SELECT session_locator, session_epoch, %(kept)s FROM account
    ),
    {AND_AUDIT}
"""
# While a rival's row is not committed, this waits for its commit or rollback.
INSERT: Final = f"""
    WITH account AS (
        INSERT INTO accounts
            (username, canonical_username, password_hash, session_locator, registration_key)
        VALUES (%(username)s, %(canonical)s, %(hash)s, %(locator)s, %(key)s)
        ON CONFLICT (canonical_username) DO NOTHING
        RETURNING {ACCOUNT}
    ), {AND_AUDIT}
"""
# Replaces only the hash that was verified: of two simultaneous changes, one fails.
CHANGE_PASSWORD: Final = f"""
    WITH account AS (
        UPDATE accounts SET password_hash = %(new)s, session_epoch = session_epoch + 1
        WHERE id = %(id)s AND password_hash = %(old)s AND disabled_at IS NULL RETURNING {ACCOUNT}
    ), {AND_REVOKE}
"""
# The device that asks stays a known one, if it was. `known` locks its row, so that of two requests
# at once, the second sees what the first did.
REVOKE_SESSIONS: Final = f"""
    WITH account AS (
        UPDATE accounts SET session_epoch = session_epoch + 1 WHERE id = %(id)s RETURNING {ACCOUNT}
    ), known AS (
        SELECT digest, known_devices.session_epoch
        FROM known_devices JOIN account ON account_id = id
        WHERE digest = ANY(%(marks)s) FOR UPDATE OF known_devices
    ), renewed AS (
        UPDATE known_devices SET session_epoch = account.session_epoch FROM account, known
        WHERE account_id = id AND known_devices.digest = known.digest
            AND known.session_epoch = account.session_epoch - 1
    ), {AND_REVOKE}
"""
DISABLE: Final = f"""
    WITH account AS (
        UPDATE accounts
        SET disabled_at = coalesce(disabled_at, now()), session_epoch = session_epoch + 1
        WHERE canonical_username = %(canonical)s AND retired_at IS NULL RETURNING {ACCOUNT}
    ), {AND_REVOKE}
"""
ENABLE: Final = f"""
    WITH account AS (
        UPDATE accounts SET disabled_at = NULL
        WHERE canonical_username = %(canonical)s AND retired_at IS NULL RETURNING {ACCOUNT}
    ), {AND_AUDIT}
"""
# Again, if the sessions of a deleted account may still be there.
_RETIRE: Final = f"""
    WITH account AS (
        UPDATE accounts
        SET retired_at = coalesce(retired_at, now()), session_epoch = session_epoch + 1,
            username = '', password_hash = '', registration_key = ''
        WHERE {{condition}} AND (
            retired_at IS NULL OR EXISTS (
                SELECT FROM revocations
                WHERE locator = session_locator AND delivered_at IS NULL
            )
        ) RETURNING {ACCOUNT}
    ), {AND_REVOKE}
"""
RETIRE: Final = _RETIRE.format(condition="id = %(id)s")
RETIRE_BY_NAME: Final = _RETIRE.format(condition="canonical_username = %(canonical)s")
