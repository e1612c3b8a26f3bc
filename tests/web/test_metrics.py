from __future__ import annotations

from flask.testing import FlaskClient


def test_hashes_and_registrations_are_counted(bob: FlaskClient) -> None:
    text = bob.get("/metrics").text
    assert 'coatcheck_password_hashes_total{kind="hash"}' in text
    assert 'coatcheck_registrations_total{outcome="registered"}' in text
