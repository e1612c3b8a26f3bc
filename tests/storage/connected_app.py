"""An application as a user may build it: it asks both stores something while it is imported, and so
has connections before gunicorn forks if the application is preloaded."""

from __future__ import annotations

from service import create_app
from service.sessions.record import NewSession
from service.web.services import services_of

app = create_app()
services = services_of(app)
with services.postgres.connection() as connection:
    connection.execute("SELECT 1")
services.username_cache.ping()
services.session_store.ping()
noted = services.session_store.create(NewSession(), {})
services.session_store.read(noted.id)
