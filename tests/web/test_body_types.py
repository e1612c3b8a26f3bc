"""The types that a body may have: of a merge patch, and of a form."""

from __future__ import annotations

import pytest
from flask import Flask
from redis import Redis

from tests.passwords import PASSWORD
from tests.ways import Answer, Client, Way, fresh_name

DATA = "/api/v1/sessions/current/data"
MERGE_PATCH = "application/merge-patch+json"
ACCEPTED = {MERGE_PATCH, "application/json"}
MULTIPART = "multipart/form-data; boundary=xYzZY"


def accepted_patches(answer: Answer) -> set[str]:
    return set(answer.headers["Accept-Patch"].split(", "))


@pytest.mark.parametrize(
    "kind", [*sorted(ACCEPTED), f"{MERGE_PATCH}; charset=utf-8", "Application/Merge-Patch+JSON"]
)
def test_session_data_takes_a_merge_patch_by_its_name(way: Way, kind: str) -> None:
    client = way.client()
    for patch, after in ((b'{"a":{"b":1,"c":2}}', None), (b'{"a":{"b":null}}', {"a": {"c": 2}})):
        answer = client.patch(DATA, content=patch, headers={"Content-Type": kind})
        assert answer.status == 200
        assert after is None or answer.json == after


@pytest.mark.parametrize(
    "kind",
    [
        "",
        "application/json-patch+json",
        "application/merge-patch",
        "text/plain",
        "multipart/form-data; boundary=a",
        "application/x-www-form-urlencoded",
    ],
)
def test_any_other_patch_is_told_what_is_accepted(way: Way, redis: Redis, kind: str) -> None:
    answer = way.client().patch(DATA, content=b'{"a":1}', headers={"Content-Type": kind})
    assert (answer.status, answer.json["code"]) == (415, "unsupported_media_type")
    assert answer.json["detail"] == f"The body must be application/json or {MERGE_PATCH}."
    assert accepted_patches(answer) == ACCEPTED
    assert redis.dbsize() == 0


def test_options_tells_what_a_patch_may_be(way: Way) -> None:
    assert accepted_patches(way.client().request("OPTIONS", DATA)) == ACCEPTED


def test_no_other_address_takes_a_merge_patch(way: Way) -> None:
    body = f'{{"username": "{fresh_name()}", "password": "{PASSWORD}"}}'.encode()
    headers = {"Content-Type": MERGE_PATCH}
    for path in ("/api/v1/accounts", "/api/v1/sessions"):
        answer = way.client().post(path, content=body, headers=headers)
        assert (answer.status, "Accept-Patch" in answer.headers) == (415, False)


def is_remembered(answer: Answer) -> bool:
    cookies = answer.headers.get_list("set-cookie")
    return any(each.startswith("session=") and "Expires=" in each for each in cookies)


def part(name: str, value: bytes, disposition: str = "form-data; name", more: str = "") -> bytes:
    head = f'--xYzZY\r\nContent-Disposition: {disposition}="{name}"\r\n{more}\r\n'
    return head.encode() + value + b"\r\n"


def form(*parts: bytes) -> bytes:
    return b"".join(parts) + b"--xYzZY--\r\n"


def submit(client: Client, path: str, body: bytes, kind: str = MULTIPART) -> Answer:
    return client.post(path, content=body, headers={"Content-Type": kind})


def credentials(name: str) -> tuple[bytes, bytes]:
    return part("username", name.encode()), part("password", PASSWORD.encode())


@pytest.mark.parametrize("stem", ["Bob", "曼德勒"])
def test_a_form_may_be_multipart(way: Way, stem: str) -> None:
    """As `curl -F username=Bob -F password=…` sends it."""
    client, name = way.client(), fresh_name(stem)
    assert submit(client, "/register", form(*credentials(name))).status == 303
    current = client.get("/api/v1/sessions/current")
    assert current.json["account"]["username"] == name
    other = way.client()
    remember = form(*credentials(name), part("remember", b"on"), part("next", b"/account"))
    signed_in = submit(other, "/login", remember)
    assert (signed_in.status, signed_in.headers["Location"]) == (303, "/account")
    assert is_remembered(signed_in)
    wrong = submit(other, "/account/delete", form(part("password", b"another one entirely")))
    assert wrong.status == 403
    assert submit(other, "/account/delete", form(part("password", PASSWORD.encode()))).status == 303


def test_both_kinds_of_form_mean_the_same(way: Way) -> None:
    """An empty field is none, and of two with one name the last counts."""
    name = fresh_name()
    twice = (part("username", b"somebody-else"), *credentials(name), part("remember", b""))
    assert submit(way.client(), "/register", form(*twice)).status == 303
    plain = f"username=else&username={name}&password={PASSWORD.replace(' ', '+')}&remember="
    signed_in = submit(way.client(), "/login", plain.encode(), "application/x-www-form-urlencoded")
    again = submit(way.client(), "/login", form(*twice))
    for answer in (signed_in, again):
        assert answer.status == 303
        assert not is_remembered(answer)


GOOD = credentials("bob")
FILE = part("photo", b"GIF89a", 'form-data; filename="a.gif"; name')
BAD = {
    "a file": (form(*GOOD, FILE), MULTIPART),
    "a file without a name": (
        form(part("username", b"b", 'form-data; filename=""; name')),
        MULTIPART,
    ),
    "not UTF-8": (form(part("username", b"b\xffb"), GOOD[1]), MULTIPART),
    "not UTF-8 elsewhere": (form(*GOOD, part("next", b"\xe9")), MULTIPART),
    "a name that is not UTF-8": (form(*GOOD, part("x", b"").replace(b'"x"', b'"\xff"')), MULTIPART),
    "a surrogate": (form(*GOOD, part("next", b"\xed\xa0\x80")), MULTIPART),
    "too many fields": (form(*GOOD, *[part(f"f{n}", b"1") for n in range(19)]), MULTIPART),
    "a field without a name": (form(*GOOD, part("x", b"", "form-data; size")), MULTIPART),
    "no disposition": (form(*GOOD, b"--xYzZY\r\nX: y\r\n\r\nz\r\n"), MULTIPART),
    "no end": (b"".join(GOOD), MULTIPART),
    "cut in a value": (form(*GOOD)[:-30], MULTIPART),
    "cut in a head": (form(*GOOD)[:30], MULTIPART),
    "nothing": (b"\r\n", MULTIPART),
    "another boundary": (form(*GOOD), "multipart/form-data; boundary=abc"),
    "no boundary": (form(*GOOD), "multipart/form-data"),
    "an empty boundary": (form(*GOOD), 'multipart/form-data; boundary=""'),
    "a boundary that is not ASCII": (form(*GOOD), "multipart/form-data; boundary=\xe9"),
    "a long boundary": (form(*GOOD), f"multipart/form-data; boundary={'x' * 71}"),
}


@pytest.mark.parametrize("path", ["/register", "/login"])
@pytest.mark.parametrize("bad", BAD)
def test_a_multipart_form_that_cannot_be_read_is_400(
    way: Way, redis: Redis, bad: str, path: str
) -> None:
    body, kind = BAD[bad]
    answer = submit(way.client(), path, body, kind)
    assert (answer.status, answer.json["code"]) == (400, "malformed")
    assert redis.dbsize() == 0


def test_as_many_fields_as_in_any_form_are_accepted(way: Way) -> None:
    fields = [part(f"f{number}", b"1") for number in range(18)]
    assert (
        submit(way.client(), "/register", form(*credentials(fresh_name()), *fields)).status == 303
    )


def test_a_multipart_form_is_as_limited_in_size_as_any(app: Flask, way: Way) -> None:
    body = form(*GOOD, part("next", b"x" * 17_000))
    assert submit(way.client(), "/login", body).status == 413


def test_any_other_type_of_form_is_told_what_is_accepted(way: Way) -> None:
    answer = submit(way.client(), "/login", b"username=bob", "text/plain")
    assert (answer.status, answer.json["detail"]) == (
        415,
        "The body must be application/x-www-form-urlencoded or multipart/form-data.",
    )


def test_a_multipart_form_of_another_site_is_rejected(way: Way) -> None:
    """Browsers send it without asking first, as they do any form."""
    headers = {"Content-Type": MULTIPART, "Sec-Fetch-Site": "cross-site"}
    answer = way.client().post("/login", content=form(*GOOD), headers=headers)
    assert (answer.status, answer.json["code"]) == (403, "cross_site")
