-- What ends the sessions of an account: the statement that changes the account writes a row, so that
-- Redis learns of it even if the process dies before it can tell.
CREATE TABLE revocations (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    -- of the account
    locator      text NOT NULL,
    -- the session epoch of the account from then on
    epoch        bigint NOT NULL,
    -- the digest of the session that goes on, if any
    kept         text,
    recorded_at  timestamptz NOT NULL DEFAULT now(),
    -- when Redis acknowledged it
    delivered_at timestamptz
);

CREATE INDEX revocations_undelivered ON revocations (locator, epoch) WHERE delivered_at IS NULL;
CREATE INDEX revocations_delivered ON revocations (delivered_at) WHERE delivered_at IS NOT NULL;
