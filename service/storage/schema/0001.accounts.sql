CREATE TABLE accounts (
    id                 bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    -- as its owner spells it; for display only
    username           text NOT NULL,
    -- the form that is unique; COLLATE "C" keeps the index independent of the system's locale data
    canonical_username text COLLATE "C" NOT NULL,
    password_hash      text NOT NULL,
    -- the public part of every session id of this account; determines its slot in a Redis Cluster
    session_locator    text NOT NULL,
    -- every operation that revokes all sessions raises it first, and then tells Redis
    session_epoch      bigint NOT NULL DEFAULT 0,
    created_at         timestamptz NOT NULL DEFAULT now(),
    disabled_at        timestamptz
);

CREATE UNIQUE INDEX accounts_canonical_username ON accounts (canonical_username);
