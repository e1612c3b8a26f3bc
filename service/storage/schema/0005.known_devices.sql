-- The devices on which the owner of an account has signed in. A mark signs nobody in: whoever has it
-- may only try more passwords than a stranger.
CREATE TABLE known_devices (
    account_id    bigint NOT NULL REFERENCES accounts ON DELETE CASCADE,
    -- SHA-256 of the mark in the device's cookie
    digest        bytea NOT NULL,
    -- of the account at that sign-in: whatever ends all sessions also makes the marks worthless,
    -- except that of the device which asked for it
    session_epoch bigint NOT NULL,
    created_at    timestamptz NOT NULL DEFAULT now(),
    last_used_at  timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (account_id, digest)
);
