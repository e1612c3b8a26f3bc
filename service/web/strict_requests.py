"""What Werkzeug reads in a way of its own, which the rest of the service does not share."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING

from service.web.problems import http_problem

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

# The one form of a date that clients may generate (RFC 9110, section 5.6.7).
DATE = r"[A-Z][a-z]{2}, [0-9]{2} [A-Z][a-z]{2} [0-9]{4} [0-9]{2}:[0-9]{2}:[0-9]{2} GMT"
ETAG = r'(W/)?"[!#-~\x80-\xff]*"'  # RFC 9110, section 8.8.3
CONDITIONS = {
    "HTTP_IF_MODIFIED_SINCE": re.compile(DATE),
    "HTTP_IF_UNMODIFIED_SINCE": re.compile(DATE),
    "HTTP_IF_RANGE": re.compile(f"{DATE}|{ETAG}"),
}


def with_strict_requests(application: WSGIApplication) -> WSGIApplication:
    """Let `application` see no path and no date that Werkzeug would take for another one.

    Werkzeug routes `//path` like `/path`, so such a request would get past everything that looks at
    the path before Flask does; it gets 404. Werkzeug fails on some dates that are none of HTTP's;
    a condition with such a date is ignored, as RFC 9110, section 13.1.3 demands.
    """

    def strict(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        if environ.get("PATH_INFO", "").startswith("//"):
            return http_problem(404).answer().response()(environ, start_response)
        for name, shape in CONDITIONS.items():
            if name in environ and not shape.fullmatch(environ[name]):
                del environ[name]
                if name == "HTTP_IF_RANGE":  # unmet, so the response is whole
                    environ.pop("HTTP_RANGE", None)
        return application(environ, start_response)

    return strict
