from __future__ import annotations

import time

import pytest
from fakeredis import FakeRedis
from redis import Redis

from service.errors import SessionRevoked, SessionStoreUnavailable
from service.sessions.contents import Change
from service.sessions.ids import SessionId, new_locator
from service.sessions.record import Client, NewSession, Owner, Record
from service.sessions.rules import Limits, SessionRules
from service.sessions.scripts import SCRIPTS
from service.sessions.store import SessionStore
from service.storage.redis import connect
from tests.conditions import eventually

LIMITS = Limits(idle=1800, lifetime=43200)
REMEMBERED = Limits(idle=86400, lifetime=864000)
CAP = 3
# fakeredis does not count what was asked of it.
on_servers = pytest.mark.parametrize("redis", ["redis", "redis_cluster"], indirect=True)


@pytest.fixture(params=["redis", "redis_cluster", "fakeredis"])
def redis(request: pytest.FixtureRequest) -> Redis:
    """The contract holds on one server, on a Cluster, and in memory for the tests of users."""
    if request.param == "fakeredis":
        return FakeRedis(version=(6, 2))
    client: Redis = request.getfixturevalue(request.param)
    return client


@pytest.fixture
def store(redis: Redis) -> SessionStore:
    return SessionStore(redis, SessionRules(LIMITS, REMEMBERED), CAP)


class Clock:
    """A worker's clock that is wrong by so many seconds."""

    def __init__(self, wrong_by: float) -> None:
        self._wrong_by = wrong_by

    def time(self) -> float:
        return time.time() + self._wrong_by


def short_lived(redis: Redis, idle: float, lifetime: float) -> SessionStore:
    limits = Limits(idle, lifetime)
    return SessionStore(redis, SessionRules(limits, limits), CAP)


def of_bob(locator: str, epoch: int = 0, remember: bool = False) -> NewSession:
    return NewSession(
        owner=Owner(1, "bob", 0.0),
        locator=locator,
        epoch=epoch,
        methods=("password",),
        remember=remember,
        client=Client("192.0.2.1", "a browser"),
    )


def sign_in(store: SessionStore, locator: str, epoch: int = 0, **fields: bytes) -> Record:
    return store.create(of_bob(locator, epoch), fields)


def test_what_was_created_is_read_back(store: SessionStore) -> None:
    created = sign_in(store, new_locator(), name=b"value")
    assert store.read(created.id) == created
    assert created.metadata.owner == Owner(1, "bob", 0.0)
    assert created.fields == {"name": b"value"}


def test_an_unknown_id_reads_as_nothing(store: SessionStore, redis: Redis) -> None:
    assert store.read(SessionId.new(new_locator())) is None
    assert redis.dbsize() == 0


def test_half_a_session_reads_as_nothing(store: SessionStore, redis: Redis) -> None:
    """What a torn append-only file may leave."""
    session_id = SessionId.new(new_locator())
    key = f"coatcheck:{{{session_id.locator}}}:session:{session_id.digest}"
    redis.hset(key, mapping={"created": 1, "seen": 1, "deadline": 1})
    assert store.read(session_id) is None


def test_the_id_is_in_no_key_and_no_value(store: SessionStore, redis: Redis) -> None:
    """G8: a reader of Redis cannot sign in with what is there."""
    record = sign_in(store, new_locator(), name=b"value")
    secret = record.id.value[12:].encode()
    for key in redis.scan_iter():
        stored = redis.dump(key)
        assert secret not in key
        assert secret not in stored


def test_a_session_key_may_have_the_name_of_a_field_of_ours(store: SessionStore) -> None:
    """G15: no key of session data touches the fields of the service."""
    names = {".": b"1", "seen": b"2", "created": b"3", "deadline": b"4", ":": b"5", "": b"6"}
    names |= {"epoch": b"7", "authenticated": b"8", "=": b"9"}
    record = store.create(of_bob(new_locator()), names, names)
    assert store.read(record.id) == record


def test_redis_ends_a_session_at_the_idle_limit(store: SessionStore, redis: Redis) -> None:
    """G9: Redis itself ends the session."""
    record = sign_in(store, new_locator())
    key = f"coatcheck:{{{record.id.locator}}}:session:{record.id.digest}"
    assert LIMITS.idle - 5 < redis.ttl(key) <= LIMITS.idle
    assert record.expires == record.created + LIMITS.idle * 1000
    assert record.deadline == record.created + LIMITS.lifetime * 1000


def test_a_remembered_session_has_limits_of_its_own(store: SessionStore) -> None:
    record = store.create(of_bob(new_locator(), remember=True), {})
    assert record.expires == record.created + REMEMBERED.idle * 1000


def test_the_absolute_limit_ends_a_session_that_is_in_use(redis: Redis) -> None:
    """G9: no use moves the absolute limit."""
    store = short_lived(redis, idle=0.45, lifetime=0.5)
    record = sign_in(store, new_locator())
    assert store.read(record.id)
    eventually(lambda: store.read(record.id) is None, within=2)
    assert time.time() * 1000 >= record.deadline - 50


def test_an_unused_session_ends_and_leaves_nothing(redis: Redis) -> None:
    store = short_lived(redis, idle=0.2, lifetime=10)
    record = sign_in(store, new_locator())
    eventually(lambda: redis.dbsize() == 0)
    assert store.read(record.id) is None


@on_servers
def test_reading_writes_nothing_within_the_touch_interval(
    store: SessionStore, redis: Redis
) -> None:
    """G11: reads do not write."""
    record = sign_in(store, new_locator())
    writes = redis.info("persistence")["rdb_changes_since_last_save"]
    for _ in range(100):
        assert store.read(record.id) == record
    assert redis.info("persistence")["rdb_changes_since_last_save"] == writes


def test_a_touch_moves_the_end_in_the_session_and_in_the_list(redis: Redis) -> None:
    store = short_lived(redis, idle=0.4, lifetime=60)
    record = sign_in(store, new_locator())
    touched = eventually(lambda: (r := store.read(record.id)) and r.seen > record.seen and r)
    assert touched.expires == touched.seen + 400
    listed = redis.zscore(f"coatcheck:{{{record.id.locator}}}:sessions", record.id.digest)
    assert listed == touched.expires


@on_servers
@pytest.mark.parametrize("wrong_by", [-3600, 3600])
def test_a_worker_with_a_wrong_clock_still_touches_once_a_minute(
    store: SessionStore, redis: Redis, monkeypatch: pytest.MonkeyPatch, wrong_by: float
) -> None:
    """G9: only the clock of Redis counts."""
    record = sign_in(store, new_locator())
    store.touch(record)  # which also loads the script
    wrong = SessionStore(redis, SessionRules(LIMITS, REMEMBERED), CAP)
    monkeypatch.setattr("service.sessions.rules.time", Clock(wrong_by))
    redis.config_resetstat()
    for _ in range(10):
        wrong.read(record.id)
    assert redis.info("commandstats")["cmdstat_evalsha"]["calls"] == 1


def test_saving_writes_the_changed_keys_and_removes_the_removed(store: SessionStore) -> None:
    record = sign_in(store, new_locator(), kept=b"1", changed=b"2", removed=b"3")
    assert store.save(record, Change({"changed": b"4", "added": b"5"}, ["removed"]))
    read = store.read(record.id)
    assert read is not None
    assert read.fields == {"kept": b"1", "changed": b"4", "added": b"5"}
    assert read.api_data == {}


def test_the_same_keys_of_both_namespaces_are_saved_in_one_step_and_stay_apart(
    store: SessionStore, redis: Redis
) -> None:
    """G15: what clients write is not what the application reads."""
    record = store.create(of_bob(new_locator()), {"a": b"1", "b": b"2"}, {"a": b"3", "b": b"4"})
    assert store.read(record.id) == record
    assert store.save(record, Change({"a": b"5"}, ["b"]), Change({"b": b"6"}, ["a"]))
    read = store.read(record.id)
    assert read is not None
    assert (read.fields, read.api_data) == ({"a": b"5"}, {"b": b"6"})
    key = f"coatcheck:{{{record.id.locator}}}:session:{record.id.digest}"
    stored = redis.hgetall(key)
    assert (stored[b":a"], stored[b"=b"]) == (b"5", b"6")


def test_save_of_a_revoked_session_is_dropped(store: SessionStore, redis: Redis) -> None:
    """G6: a slow request brings nothing back by saving."""
    record = sign_in(store, new_locator())
    assert store.revoke(record.id.locator, record.id.digest)
    assert not store.save(record, Change({"key": b"value"}), Change({"key": b"value"}))
    assert redis.dbsize() == 0


def test_touch_of_a_revoked_session_does_not_bring_it_back(
    store: SessionStore, redis: Redis
) -> None:
    """G6: noting its use does not bring a session back either."""
    record = sign_in(store, new_locator())
    store.revoke(record.id.locator, record.id.digest)
    assert store.touch(record) is None
    assert redis.dbsize() == 0


def test_revoking_one_session_leaves_the_others(store: SessionStore) -> None:
    locator = new_locator()
    first, second = sign_in(store, locator), sign_in(store, locator)
    assert store.revoke(first.id.locator, first.id.digest)
    assert not store.revoke(first.id.locator, first.id.digest)
    assert store.read(first.id) is None
    assert store.read(second.id) == second


def test_a_login_that_read_an_older_epoch_gets_no_session(
    store: SessionStore, redis: Redis
) -> None:
    """G6: a login that is overtaken by a revocation comes too late."""
    locator = new_locator()
    redis.set(f"coatcheck:{{{locator}}}:epoch", 5)
    with pytest.raises(SessionRevoked):
        sign_in(store, locator, epoch=4)
    assert redis.dbsize() == 1
    assert sign_in(store, locator, epoch=5)


def test_past_the_cap_the_oldest_session_ends(store: SessionStore, redis: Redis) -> None:
    locator = new_locator()
    records = [sign_in(store, locator) for _ in range(CAP + 2)]
    alive = [store.read(record.id) is not None for record in records]
    assert alive.count(True) == CAP
    assert alive[-1]
    assert redis.zcard(f"coatcheck:{{{locator}}}:sessions") == CAP


def test_the_cap_never_ends_the_session_that_is_just_created(store: SessionStore) -> None:
    """Though it may be the first to expire: the others are remembered for weeks."""
    locator = new_locator()
    for _ in range(CAP):
        store.create(of_bob(locator, remember=True), {})
    brief = sign_in(store, locator)
    assert store.read(brief.id) == brief
    assert len(store.devices(locator)) == CAP


def test_expired_sessions_are_pruned_from_the_list(redis: Redis) -> None:
    locator = new_locator()
    brief = short_lived(redis, idle=0.1, lifetime=0.1)
    index = f"coatcheck:{{{locator}}}:sessions"
    long_lived = SessionStore(redis, SessionRules(LIMITS, REMEMBERED), 100)
    sign_in(long_lived, locator)
    gone = sign_in(brief, locator)
    eventually(lambda: brief.read(gone.id) is None)
    sign_in(long_lived, locator)
    assert redis.zscore(index, gone.id.digest) is None
    assert redis.zcard(index) == 2


def test_an_anonymous_session_is_listed_nowhere(store: SessionStore, redis: Redis) -> None:
    record = store.create(NewSession(), {"key": b"value"})
    assert store.read(record.id) == record
    assert redis.dbsize() == 1


@on_servers
def test_a_read_is_one_command(store: SessionStore, redis: Redis) -> None:
    record = sign_in(store, new_locator())
    redis.config_resetstat()
    store.read(record.id)
    stats = redis.info("commandstats")
    assert {name for name in stats if name != "cmdstat_config|resetstat"} <= {
        "cmdstat_hgetall",
        "cmdstat_info",
        "cmdstat_config",
    }
    assert stats["cmdstat_hgetall"]["calls"] == 1


def test_scripts_are_loaded_again_after_redis_forgot_them(
    store: SessionStore, redis: Redis
) -> None:
    redis.script_flush()
    assert sign_in(store, new_locator())


def test_without_redis_everything_fails_with_one_error_and_in_time() -> None:
    rules = SessionRules(LIMITS, REMEMBERED)
    nowhere = SessionStore(connect("unix:///nowhere/redis.sock"), rules, CAP)
    started = time.monotonic()
    with pytest.raises(SessionStoreUnavailable):
        nowhere.read(SessionId.new(new_locator()))
    with pytest.raises(SessionStoreUnavailable):
        sign_in(nowhere, new_locator())
    assert time.monotonic() - started < 2


def test_rotating_moves_the_session_to_a_new_id_and_the_old_one_is_dead(
    store: SessionStore, redis: Redis
) -> None:
    """G8: an id that was known before a privilege change is worth nothing after it."""
    locator = new_locator()
    old = sign_in(store, locator, key=b"value")
    new = store.rotate(old)
    assert new is not None
    assert new.id.locator == locator
    assert store.read(old.id) is None
    assert store.read(new.id) == new
    assert new.fields == {"key": b"value"}
    assert [device.handle for device in store.devices(locator)] == [new.id.digest]
    assert redis.pttl(f"coatcheck:{{{locator}}}:session:{new.id.digest}") > 0


def test_rotating_again_after_a_lost_answer_succeeds_again(
    store: SessionStore, redis: Redis
) -> None:
    """redis-py repeats the script when the connection breaks before the answer is there."""
    rotate = redis.register_script(SCRIPTS["rotate"])
    old = sign_in(store, new_locator())
    new = SessionId.new(old.id.locator)
    keys = [f"coatcheck:{{{old.id.locator}}}:session:{each.digest}" for each in (old.id, new)]
    keys.append(f"coatcheck:{{{old.id.locator}}}:sessions")
    for _ in range(2):
        assert rotate(keys, [old.id.digest, new.digest]) > 0
    assert store.read(new) is not None


def test_a_session_says_how_and_when_its_user_authenticated(store: SessionStore) -> None:
    record = sign_in(store, new_locator())
    assert record.metadata.methods == ("password",)
    assert record.authenticated_at == record.created


def test_authenticating_again_gives_a_new_id_and_a_later_time_by_the_clock_of_redis(
    store: SessionStore, redis: Redis
) -> None:
    old = sign_in(store, new_locator())
    key = f"coatcheck:{{{old.id.locator}}}:session:{old.id.digest}"
    redis.hset(key, "created", old.created - 60_000)
    signed_in = store.read(old.id)
    assert signed_in is not None
    new = store.rotate(signed_in, ("totp", "password"))
    assert new is not None
    assert store.read(new.id) == new
    assert new.metadata.methods == ("password", "totp")
    assert signed_in.authenticated_at == old.created - 60_000
    assert new.authenticated_at >= old.created


def test_a_new_id_alone_proves_nothing_anew(store: SessionStore) -> None:
    record = sign_in(store, new_locator())
    proven = store.rotate(record, ("totp",))
    assert proven is not None
    rotated = store.rotate(proven)
    assert rotated is not None
    assert store.read(rotated.id) == rotated
    assert rotated.authenticated_at == proven.authenticated_at
    assert rotated.metadata.methods == ("password", "totp")


def test_a_session_that_was_stored_before_methods_were_is_read(
    store: SessionStore, redis: Redis
) -> None:
    """Its metadata ends with the browser, and the user authenticated when it was created."""
    record = sign_in(store, new_locator())
    key = f"coatcheck:{{{record.id.locator}}}:session:{record.id.digest}"
    owner = b"\x93\x01\xa3bob\xcb" + bytes(8)
    redis.hset(key, ".", b"\x94" + owner + b"\xc2\xa9192.0.2.1\xa9a browser")
    read = store.read(record.id)
    assert read is not None
    assert read.metadata.owner == Owner(1, "bob", 0.0)
    assert (read.metadata.address, read.metadata.user_agent) == ("192.0.2.1", "a browser")
    assert read.metadata.methods == ()
    assert read.authenticated_at == read.created
    assert store.devices(record.id.locator) == [read.device]
    proven = store.rotate(read, ("password",))
    assert proven is not None
    assert proven.metadata.methods == ("password",)


def test_a_session_that_is_gone_cannot_be_rotated(store: SessionStore, redis: Redis) -> None:
    record = sign_in(store, new_locator())
    store.revoke(record.id.locator, record.id.digest)
    assert store.rotate(record) is None
    assert redis.dbsize() == 0


def test_a_session_that_replaces_another_of_its_account_ends_it_in_the_same_step(
    store: SessionStore,
) -> None:
    locator = new_locator()
    old = sign_in(store, locator)
    new = store.create(of_bob(locator), {}, replaces=old.id)
    assert store.read(old.id) is None
    assert [device.handle for device in store.devices(locator)] == [new.id.digest]


def test_the_devices_are_the_sessions_that_live(store: SessionStore, redis: Redis) -> None:
    locator = new_locator()
    records = [sign_in(store, locator) for _ in range(3)]
    store.revoke(locator, records[0].id.digest)
    redis.delete(f"coatcheck:{{{locator}}}:session:{records[1].id.digest}")  # as if expired
    assert store.devices(locator) == [records[2].device]
    assert redis.zcard(f"coatcheck:{{{locator}}}:sessions") == 1
    assert store.devices(new_locator()) == []


def test_revoking_all_but_one_ends_the_others_and_sign_ins_under_way(store: SessionStore) -> None:
    locator = new_locator()
    kept, *others = [sign_in(store, locator) for _ in range(3)]
    assert store.revoke_all(locator, epoch=1, keep=kept.id.digest) == 2
    assert store.read(kept.id) == kept
    for other in others:
        assert store.read(other.id) is None
    with pytest.raises(SessionRevoked):
        sign_in(store, locator, epoch=0)
    assert sign_in(store, locator, epoch=1)


def test_an_older_epoch_does_not_lower_a_newer_one(store: SessionStore) -> None:
    locator = new_locator()
    store.revoke_all(locator, epoch=5)
    store.revoke_all(locator, epoch=4)
    with pytest.raises(SessionRevoked):
        sign_in(store, locator, epoch=4)


def test_a_revocation_that_is_repeated_late_ends_nothing_that_signed_in_since(
    store: SessionStore,
) -> None:
    """G13: a revocation that Redis may have missed is sent again."""
    locator = new_locator()
    old = sign_in(store, locator, epoch=3)
    assert store.revoke_all(locator, epoch=4) == 1
    new = [sign_in(store, locator, epoch=4), sign_in(store, locator, epoch=5)]
    for epoch in (3, 4):
        assert store.revoke_all(locator, epoch=epoch) == 0
    assert store.read(old.id) is None
    assert [store.read(each.id) for each in new] == new
    assert store.revoke_all(locator, epoch=5) == 1
    assert [store.read(each.id) for each in new] == [None, new[1]]


def test_a_repeated_revocation_also_ends_what_a_redis_without_its_tail_brought_back(
    store: SessionStore, redis: Redis
) -> None:
    """G13: the sessions are back, and the epoch is not."""
    locator = new_locator()
    kept, lost = sign_in(store, locator), sign_in(store, locator)
    key = f"coatcheck:{{{locator}}}:session:{lost.id.digest}"
    before = redis.hgetall(key)
    store.revoke_all(locator, epoch=1, keep=kept.id.digest)
    redis.delete(f"coatcheck:{{{locator}}}:epoch")
    redis.hset(key, mapping=before)
    redis.zadd(f"coatcheck:{{{locator}}}:sessions", {lost.id.digest: lost.expires})
    assert store.read(lost.id) == lost
    assert store.revoke_all(locator, epoch=1, keep=kept.id.digest) == 1
    assert [store.read(each.id) for each in (kept, lost)] == [kept, None]
    with pytest.raises(SessionRevoked):
        sign_in(store, locator, epoch=0)


def test_a_session_that_is_kept_keeps_its_epoch(store: SessionStore) -> None:
    """Only its owner's next proof gives it a newer one: an earlier revocation that ends it may be
    on its way."""
    locator = new_locator()
    kept = sign_in(store, locator)
    store.revoke_all(locator, epoch=1, keep=kept.id.digest)
    assert store.read(kept.id) == kept
    assert store.revoke_all(locator, epoch=1) == 1


def test_a_session_whose_user_proves_again_is_as_new_as_the_proof(store: SessionStore) -> None:
    locator = new_locator()
    kept = sign_in(store, locator)
    store.revoke_all(locator, epoch=1, keep=kept.id.digest)
    proven = store.rotate(kept, ("password",), epoch=1)
    assert proven is not None
    assert store.revoke_all(locator, epoch=1, keep=kept.id.digest) == 0
    assert store.read(proven.id) == proven
    assert store.revoke_all(locator, epoch=2) == 1


def test_the_end_of_a_session_follows_it_to_its_new_id(store: SessionStore) -> None:
    """G6: a sign-out that was under way while the session got a new id ends that one."""
    locator = new_locator()
    moved, other = sign_in(store, locator), sign_in(store, locator)
    renewed = store.rotate(moved)
    assert renewed is not None
    assert store.revoke(locator, moved.id.digest)
    assert store.read(renewed.id) is None
    assert store.read(other.id) == other
    assert [device.handle for device in store.devices(locator)] == [other.id.digest]
    assert not store.revoke(locator, moved.id.digest)


def test_a_session_that_is_used_in_its_last_moment_stays_in_the_list_of_its_account(
    store: SessionStore, redis: Redis
) -> None:
    """G6: otherwise "sign out everywhere" would not find it."""
    locator = new_locator()
    used = sign_in(store, locator)
    redis.zrem(f"coatcheck:{{{locator}}}:sessions", used.id.digest)  # a sign-in took it for expired
    redis.hset(f"coatcheck:{{{locator}}}:session:{used.id.digest}", "seen", 0)
    assert store.touch(used) is not None
    assert store.revoke_all(locator, epoch=1) == 1
    assert store.read(used.id) is None


def test_a_proof_that_is_older_than_a_revocation_renews_nothing(store: SessionStore) -> None:
    """G6: a step-up that checked the old password does not outlive the new one."""
    locator = new_locator()
    kept = sign_in(store, locator)
    store.revoke_all(locator, epoch=2, keep=kept.id.digest)
    assert store.rotate(kept, ("password",), epoch=1) is None
    assert store.read(kept.id) == kept
    assert store.rotate(kept, ("password",), epoch=2) is not None


@pytest.mark.parametrize(("proven", "epoch"), [((), None), ((), 9), (("totp",), None)])
def test_a_new_id_without_a_proof_or_its_epoch_keeps_the_epoch_of_the_session(
    store: SessionStore, proven: tuple[str, ...], epoch: int | None
) -> None:
    locator = new_locator()
    rotated = store.rotate(sign_in(store, locator), proven, epoch)
    assert rotated is not None
    assert store.revoke_all(locator, epoch=1) == 1


def test_a_session_that_was_stored_before_epochs_were_is_older_than_any(
    store: SessionStore, redis: Redis
) -> None:
    locator = new_locator()
    record = sign_in(store, locator, epoch=5)
    key = f"coatcheck:{{{locator}}}:session:{record.id.digest}"
    assert redis.hdel(key, "epoch") == 1
    assert store.read(record.id) == record
    assert store.revoke_all(locator, epoch=1) == 1


def test_an_anonymous_session_has_no_epoch(store: SessionStore, redis: Redis) -> None:
    record = store.create(NewSession(), {"key": b"value"})
    key = f"coatcheck:{{{record.id.locator}}}:session:{record.id.digest}"
    assert not redis.hexists(key, "epoch")
