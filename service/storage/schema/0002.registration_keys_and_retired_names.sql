-- SHA-256 of the Idempotency-Key of the request that registered the account
ALTER TABLE accounts ADD COLUMN registration_key text NOT NULL DEFAULT '';

-- The row of a deleted account stays, without its data, so that the name stays taken for a while.
ALTER TABLE accounts ADD COLUMN retired_at timestamptz;

CREATE INDEX accounts_retired ON accounts (retired_at) WHERE retired_at IS NOT NULL;
