"""Sessions: the id in the cookie, the record in Redis and, between them, `flask.session`."""
