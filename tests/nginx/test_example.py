"""The example of an application behind nginx, as it stands."""

from __future__ import annotations

from pathlib import Path

import httpx
import psutil
import pytest

from service.embedded import RedisEngine
from tests.nginx.servers import ID, nginx
from tests.passwords import PASSWORD
from tests.ports import free_port
from tests.servers import NO_TLS

pytestmark = pytest.mark.xdist_group("nginx")

LI_LEI = {"username": "李雷", "password": PASSWORD}
GREETING = "Hello, 李雷!"


def register(visitor: httpx.Client) -> None:
    assert visitor.post("/register", data=LI_LEI).status_code == 303


def connections_to(port: int) -> set[int]:
    """The ports at the other end."""
    found = psutil.net_connections("tcp")
    return {
        each.laddr.port
        for each in found
        if each.raddr and each.raddr.port == port and each.status == psutil.CONN_ESTABLISHED
    }


def test_a_visitor_signs_in_and_is_greeted_by_name_on_the_page_that_was_asked_for(
    visitor: httpx.Client,
) -> None:
    register(visitor)
    visitor.cookies.clear()
    away = visitor.get("/hats?colour=red")
    assert (away.status_code, away.headers["Location"]) == (303, "/login?next=/hats?colour=red")
    form = visitor.get(away.headers["Location"]).text
    assert 'name="next" value="/hats?colour=red"' in form
    back = visitor.post("/login", data=LI_LEI | {"next": "/hats?colour=red"})
    assert (back.status_code, back.headers["Location"]) == (303, "/hats?colour=red")
    assert visitor.get("/hats?colour=red").text.startswith(GREETING)


def test_what_nginx_cannot_escape_leads_to_the_form_without_a_way_back(
    visitor: httpx.Client,
) -> None:
    for path in ("/hats?colour=red&size=7", "/%E5%B8%BD", "/a%0d%0aSet-Cookie:x", "/a+b"):
        away = visitor.get(path)
        assert (away.status_code, away.headers["Location"]) == (303, "/login")


def test_a_program_gets_401_and_no_redirect(visitor: httpx.Client) -> None:
    assert visitor.get("/", headers={"Accept": "application/json"}).status_code == 401
    assert visitor.post("/", data={"hat": "red"}).status_code == 401


def test_a_client_cannot_claim_to_be_signed_in(visitor: httpx.Client) -> None:
    names = ("X-Auth-Username", "X-Auth-Account-Id", "X-Auth-Session", "X_Auth_Username")
    forged = dict.fromkeys(names, "forged")
    assert visitor.get("/", headers=forged).status_code == 303
    register(visitor)
    current = visitor.get("/api/v1/sessions/current", headers=ID).json()
    assert visitor.get("/", headers=forged).text == (
        f"{GREETING} Your account is number {current['account']['id']}, your session is"
        f" {current['session']['handle']}, you sent 0 bytes, and your cookies are [].\n"
    )


def test_after_signing_out_the_cookie_is_worth_nothing(visitor: httpx.Client) -> None:
    register(visitor)
    cookie = visitor.cookies["session"]
    assert visitor.post("/logout").status_code == 303
    stolen = {"Cookie": f"session={cookie}", "Accept": "*/*"}
    assert visitor.get("/", headers=stolen).status_code == 401


def test_what_is_posted_reaches_the_application_and_not_coatcheck(visitor: httpx.Client) -> None:
    register(visitor)
    body = b"GET / HTTP/1.1\r\n\r\n" * 5000
    for _ in range(10):  # left in a connection, it would be taken for the next request
        answer = visitor.post("/", content=body)
        assert answer.status_code == 200
        assert f"you sent {len(body)} bytes" in answer.text


def test_connections_to_coatcheck_are_kept(visitor: httpx.Client, coatcheck: int) -> None:
    register(visitor)
    kept = connections_to(coatcheck)
    assert kept
    for _ in range(20):
        assert visitor.get("/").status_code == 200
    assert connections_to(coatcheck) == kept


def test_with_redis_stopped_a_visitor_waits_and_stays_signed_in(
    visitor: httpx.Client, own_redis: RedisEngine
) -> None:
    register(visitor)
    own_redis.kill()
    try:
        answer = visitor.get("/")
    finally:
        own_redis.start()
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "1")
    assert "Set-Cookie" not in answer.headers
    assert visitor.get("/").text.startswith(GREETING)


def test_with_coatcheck_stopped_a_visitor_waits_too(
    program: str, place: Path, greeter: int
) -> None:
    with nginx(program, place / "alone", free_port(), greeter) as url:
        answer = httpx.get(url, headers={"Accept": "text/html"}, verify=NO_TLS)
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "1")


def test_coatcheck_learns_the_visitors_address_and_host_from_nginx_alone(
    visitor: httpx.Client,
) -> None:
    forged = {"X-Forwarded-For": "203.0.113.7", "X-Forwarded-Host": "elsewhere.example"}
    assert visitor.post("/register", data=LI_LEI, headers=forged).status_code == 303
    (session,) = visitor.get("/api/v1/sessions", headers=ID).json()["sessions"]
    assert session["address"] == "127.0.0.1"


@pytest.mark.parametrize(
    ("host", "origin", "status"),
    [
        ("app.example.org", "https://app.example.org", 303),
        ("id.example.org", "https://id.example.org", 303),
        ("id.example.org", "https://app.example.org", 403),
        ("app.example.org", "http://app.example.org", 403),
        ("app.example.org", "https://evil.example", 403),
        ("app.example.org", "null", 403),
    ],
)
def test_a_form_must_come_from_the_host_that_it_is_sent_to(
    visitor: httpx.Client, host: str, origin: str, status: int
) -> None:
    sent = {"Host": host, "Origin": origin}
    assert visitor.post("/register", data=LI_LEI, headers=sent).status_code == status


def test_the_session_check_is_not_open_to_the_public(visitor: httpx.Client) -> None:
    register(visitor)
    assert visitor.get("/auth/verify").status_code == 404
    for path in ("/auth/verify", "/auth%2Fverify", "//auth/verify", "/metrics", "/readyz"):
        assert visitor.get(path, headers=ID).status_code == 404


def test_scripts_of_the_application_cannot_reach_the_account(visitor: httpx.Client) -> None:
    """On its host, /api/v1 is the application's own, and the account page is elsewhere."""
    register(visitor)
    assert visitor.get("/api/v1/sessions/current").text.startswith(GREETING)
    assert visitor.post("/account/delete", data=LI_LEI).text.startswith(GREETING)
    away = visitor.get("/account")
    assert (away.status_code, away.headers["Location"]) == (303, "https://id.example.org/account")
    assert visitor.get("/account", headers=ID).status_code == 200


@pytest.mark.parametrize(
    ("sent", "received"),
    [
        ("session=ID", ""),
        ("hat=red; session=ID", "hat=red;"),
        ("session=ID; hat=red", "hat=red"),
        ("hat=red; session=ID; coat=blue", "hat=red;coat=blue"),
        ("hat=red;session=ID;coat=blue", "hat=red;coat=blue"),
        ("hat=red;\t session \t= ID ;coat=blue", "hat=red;coat=blue"),
        ("session=ID; __Host-session=ID; __Host-device=ID; hat=red", "hat=red"),
        ("session=ID; device=x; hat=red; signin=y", "hat=red;"),
        ("session=ID; session=ID; hat=red; session=ID", "hat=red;"),
        ("session=ID; hat=red; " + "; ".join(["__Host-session=ID"] * 9), ""),
        (
            "session=ID; mysession=1; session_2=2; xsession=3",
            "mysession=1; session_2=2; xsession=3",
        ),
        ("session=ID; hat=session; my__Host-session=1", "hat=session; my__Host-session=1"),
        ("session=ID; hat", "hat"),
    ],
)
def test_the_application_gets_its_own_cookies_and_none_of_coatchecks(
    visitor: httpx.Client, sent: str, received: str
) -> None:
    register(visitor)
    id_ = visitor.cookies["session"]
    answer = visitor.get("/", headers={"Cookie": sent.replace("ID", id_)})
    assert answer.text.endswith(f"your cookies are [{received}].\n")
    assert id_ not in answer.text


def test_cookies_in_several_headers_are_removed_as_well(visitor: httpx.Client) -> None:
    register(visitor)
    id_ = visitor.cookies["session"]
    values = ["hat=red", f"session={id_}", f"__Host-session={id_}; coat=blue"]
    visitor.cookies.clear()
    headers = [("Cookie", value) for value in values] + [*visitor.headers.items()]
    answer = visitor.get("/", headers=headers)
    assert answer.text.startswith(GREETING)
    assert id_ not in answer.text
    assert "hat=red" in answer.text
    assert "coat=blue" in answer.text
