from __future__ import annotations

import pytest
from flask import Flask

from service.web.services import Services, services_of


@pytest.fixture
def services(app: Flask) -> Services:
    return services_of(app)
