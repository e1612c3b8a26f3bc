-- SHA-256 of the Idempotency-Key of the request that registered the account
ALTER TABLE accounts ADD COLUMN registration_key text NOT NULL DEFAULT '';

-- A deleted account's row stays, emptied, so that its name stays taken for a quarantine.
ALTER TABLE accounts ADD COLUMN retired_at timestamptz;

CREATE INDEX accounts_retired ON accounts (retired_at) WHERE retired_at IS NOT NULL;
