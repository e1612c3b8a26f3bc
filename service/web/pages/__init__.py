"""The pages."""

from flask import Response

from service.web.answers import NO_STORE
from service.web.pages import account, home, registration, sign_in

blueprints = (home.blueprint, registration.blueprint, sign_in.blueprint, account.blueprint)


def keep_no_copy(response: Response) -> Response:
    """A page may hold what is its reader's own: a name, an address, the key of a form."""
    response.headers.setdefault(*NO_STORE)
    return response


for blueprint in blueprints:
    blueprint.after_request(keep_no_copy)
