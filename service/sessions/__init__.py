"""Sessions: the id in the cookie, the record in Redis, and `flask.session` between them."""
