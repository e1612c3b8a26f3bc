-- What the service may do, as a member of the role coatcheck_service. `migrate` applies it each time.
--
-- Whatever is not granted here is reserved for the owner, who migrates, and runs the daily commands.
REVOKE CREATE ON SCHEMA public FROM PUBLIC;
REVOKE ALL ON ALL TABLES IN SCHEMA public FROM coatcheck_service;
REVOKE ALL ON ALL FUNCTIONS IN SCHEMA public FROM coatcheck_service;

GRANT USAGE ON SCHEMA public TO coatcheck_service;
GRANT SELECT ON accounts TO coatcheck_service;
GRANT INSERT (username, canonical_username, password_hash, session_locator, registration_key),
    UPDATE (username, password_hash, session_epoch, registration_key, disabled_at, retired_at)
    ON accounts TO coatcheck_service;
GRANT SELECT, INSERT, UPDATE, DELETE ON revocations TO coatcheck_service;
GRANT SELECT, INSERT, UPDATE, DELETE ON known_devices TO coatcheck_service;
-- The trigger fills in the rest.
GRANT INSERT (at, account_id, event, particulars, address, device, session) ON audit TO coatcheck_service;
GRANT EXECUTE ON FUNCTION account_activity TO coatcheck_service;
-- For /readyz and `python -m service check`.
GRANT SELECT (migration_id) ON _yoyo_migration TO coatcheck_service;
