-- the digest of the idempotency key with which the account was registered: the first 128 bits of its
-- SHA-256, in hexadecimal; empty for accounts that are older than this column, or deleted
ALTER TABLE accounts ADD COLUMN registration_key text NOT NULL DEFAULT '';

-- The row of a deleted account stays, without its data, so that the name stays taken for a while.
ALTER TABLE accounts ADD COLUMN retired_at timestamptz;

CREATE INDEX accounts_retired ON accounts (retired_at) WHERE retired_at IS NOT NULL;
