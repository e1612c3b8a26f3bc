"""The pages."""

from service.web.pages import account, home, registration, sign_in

blueprints = (home.blueprint, registration.blueprint, sign_in.blueprint, account.blueprint)
