from __future__ import annotations

from service.registration.flights import Flights
from service.registration.username_cache import Taken

TAKEN = Taken("key digest")


def test_the_first_request_leads_and_the_others_get_what_it_finds() -> None:
    flights = Flights()
    flight, leading = flights.join("name")
    assert leading
    follower, follows = flights.join("name")
    assert not follows
    assert not follower.done()
    flights.leave("name", flight, TAKEN)
    assert follower.result(0) == TAKEN


def test_after_a_flight_has_landed_the_next_request_leads() -> None:
    flights = Flights()
    flight, _ = flights.join("name")
    flights.leave("name", flight, None)
    assert flights.join("name")[1]


def test_names_do_not_wait_for_each_other() -> None:
    flights = Flights()
    assert flights.join("one")[1]
    assert flights.join("another")[1]


def test_one_of_the_requests_that_find_a_flight_overdue_replaces_it() -> None:
    flights = Flights()
    stuck, _ = flights.join("name")
    replacement, leading = flights.join("name", overdue=stuck)
    assert leading
    joined, leads = flights.join("name", overdue=stuck)
    assert joined is replacement
    assert not leads
    flights.leave("name", stuck, TAKEN)
    assert flights.join("name")[0] is replacement
