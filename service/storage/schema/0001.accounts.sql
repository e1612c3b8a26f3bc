CREATE TABLE accounts (
    id                 bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    -- as its owner writes it, for show only
    username           text NOT NULL,
    -- what makes it unique; COLLATE "C" keeps the index independent of the system's locale data
    canonical_username text COLLATE "C" NOT NULL,
    password_hash      text NOT NULL,
    -- public half of every session id of this account: its slot in a Redis Cluster
    session_locator    text NOT NULL,
    -- raised by whatever revokes every session, before Redis hears of it
    session_epoch      bigint NOT NULL DEFAULT 0,
    created_at         timestamptz NOT NULL DEFAULT now(),
    disabled_at        timestamptz
);

CREATE UNIQUE INDEX accounts_canonical_username ON accounts (canonical_username);
