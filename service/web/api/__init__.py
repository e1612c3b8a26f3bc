"""The JSON API, version 1, and the check that a proxy makes."""

from flask import Blueprint

from service.web.api import account, accounts, session_checks, session_data, sessions

api = Blueprint("api", __name__, url_prefix="/api/v1")
for each in (accounts, account, sessions, session_data):
    api.register_blueprint(each.blueprint)

blueprints = (api, session_checks.blueprint)
