-- The audit trail: what happened to accounts. The service may add rows, and neither read nor change
-- them (service/storage/grants.sql).
--
-- Each row carries the hash of the one before it in its chain, so a row that is changed or removed
-- shows. There is one chain for each account, and not one for all: a row waits until the one before it
-- is committed, so a single chain would let one registration or sign-in at a time proceed. Nothing is
-- lost by that, because every chain has a head, and the heads tell which chains there must be.
--
-- What strangers can cause, a refused sign-in, is chained by address: the rows of an account cannot
-- be held up by those who attack it, and a refusal takes the same steps whether the name exists.
CREATE TABLE audit (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at          timestamptz NOT NULL DEFAULT now() CHECK (isfinite(at)),
    -- the id of an account, or a negative number for one of the chains by address
    chain       bigint NOT NULL,
    seq         bigint NOT NULL,
    -- no foreign key: the row outlives its account. Ids are never used again.
    account_id  bigint,
    event       text NOT NULL,
    particulars jsonb NOT NULL CHECK (
        jsonb_typeof(particulars) = 'object' AND octet_length(particulars::text) < 2048
    ),
    address     text NOT NULL,
    device      text NOT NULL,
    -- the digest of the session that it is about
    session     text,
    previous    bytea NOT NULL,
    hash        bytea NOT NULL,
    UNIQUE (chain, seq),
    CHECK (octet_length(event || address || device || coalesce(session, '')) < 4096)
);

CREATE INDEX audit_of_account ON audit (account_id, id);

-- The last row of each chain. Only the trigger changes it, and `audit prune`.
CREATE TABLE audit_heads (
    chain  bigint PRIMARY KEY,
    seq    bigint NOT NULL,
    hash   bytea NOT NULL,
    -- the last row that has been pruned
    pruned bigint NOT NULL DEFAULT 0
);

-- The hash of a row covers a JSON array, which service/audit/chain.py computes too. It has the text of
-- `particulars`, because others may write the same numbers differently. The function runs with the
-- rights of the schema's owner, because the service has none on the heads.
CREATE FUNCTION audit_chain() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = public, pg_temp AS $$
DECLARE
    is_known boolean;
BEGIN
    -- An id is looked up even if there is none, so that it takes as long.
    PERFORM FROM accounts WHERE id = coalesce(NEW.account_id, 0);
    IF NOT FOUND AND NEW.account_id IS NOT NULL THEN
        RAISE foreign_key_violation USING MESSAGE = 'no such account';
    END IF;
    -- Only entries that had to wait have a time of their own.
    IF NEW.at > now() OR NEW.at < now() - interval '1 day' THEN
        NEW.at := now();
    END IF;
    IF NEW.account_id IS NULL OR NEW.event = 'sign_in_refused' THEN
        NEW.chain := -1 - get_byte(sha256(convert_to(NEW.address, 'UTF8')), 0) % 32;
    ELSE
        NEW.chain := NEW.account_id;
    END IF;
    LOOP
        SELECT seq + 1, hash INTO NEW.seq, NEW.previous
        FROM audit_heads WHERE chain = NEW.chain FOR UPDATE;
        is_known := FOUND;
        IF NOT is_known THEN
            NEW.seq := 1;
            NEW.previous := '';
        END IF;
        NEW.hash := sha256(convert_to(json_build_array(
            NEW.chain,
            NEW.seq,
            NEW.id,
            to_char(NEW.at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
            NEW.account_id,
            NEW.event,
            NEW.particulars::text,
            NEW.address,
            NEW.device,
            NEW.session,
            encode(NEW.previous, 'hex')
        )::text, 'UTF8'));
        IF is_known THEN
            UPDATE audit_heads SET seq = NEW.seq, hash = NEW.hash WHERE chain = NEW.chain;
            RETURN NEW;
        END IF;
        INSERT INTO audit_heads (chain, seq, hash) VALUES (NEW.chain, 1, NEW.hash)
        ON CONFLICT DO NOTHING;
        IF FOUND THEN
            RETURN NEW;
        END IF;
        -- Another row has just started the chain: go on after it.
    END LOOP;
END
$$;

CREATE TRIGGER audit_chain BEFORE INSERT ON audit FOR EACH ROW EXECUTE FUNCTION audit_chain();

-- What owners see of the trail: the newest rows of one account, or those before a row.
CREATE FUNCTION account_activity(of_account bigint, before bigint, entries integer)
RETURNS TABLE (
    id bigint, at timestamptz, event text, particulars jsonb, address text, device text, session text
)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT entry.id, entry.at, entry.event, entry.particulars, entry.address, entry.device,
           entry.session
    FROM audit AS entry
    WHERE entry.account_id = of_account AND (before IS NULL OR entry.id < before)
    ORDER BY entry.id DESC LIMIT least(entries, 101)
$$;

REVOKE ALL ON FUNCTION account_activity FROM PUBLIC;
REVOKE ALL ON FUNCTION audit_chain FROM PUBLIC;
