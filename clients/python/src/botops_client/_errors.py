"""Errors: refusals of a server as problem documents of RFC 9457, and servers that cannot be reached."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


class BotopsError(Exception):
    """Any error of this package."""


class Unreachable(BotopsError):
    """The server could not be reached, or its answer did not come in time."""


class UnexpectedAnswer(BotopsError):
    """The answer is none of a botops server."""


@dataclass(frozen=True)
class FieldError:
    """A value of the body that is not valid."""

    pointer: str
    """Its place, as a JSON pointer of RFC 6901: ``/texts/3``, or empty for the body."""
    message: str


class ApiError(BotopsError):
    """A refusal of the server: a problem document of RFC 9457."""

    def __init__(
        self, status: int, document: Mapping[str, Any], request_id: str | None, retry_after: float | None
    ) -> None:
        self.status = status
        """The HTTP status."""
        self.code = str(document.get("code", ""))
        """The stable code, which ``botops explain`` describes; empty if a proxy answered."""
        self.type = str(document.get("type", "about:blank"))
        self.title = str(document.get("title", ""))
        self.detail = str(document.get("detail", ""))
        self.hints = tuple(str(hint) for hint in document.get("hints") or ())
        self.errors = tuple(
            FieldError(str(it.get("pointer", "")), str(it.get("message", "")))
            for it in document.get("errors") or ()
            if isinstance(it, Mapping)
        )
        self.request_id = request_id
        """The id of the request, with which an operator finds it."""
        self.retry_after = retry_after
        """The seconds after which the server wants to be asked again, if it says so."""
        code = f" ({self.code})" if self.code else ""
        super().__init__(f"HTTP {status}{code}: {self.detail or self.title or 'no details'}")


class InvalidRequest(ApiError):
    """400, 413, 415, 422: the request cannot be used."""


class Unauthorized(ApiError):
    """401: the server needs a key, or another one."""


class Forbidden(ApiError):
    """403: the key may not do this."""


class Conflict(ApiError):
    """409: the id of the message belongs to another text, or others spoke at the same time."""


class RateLimited(ApiError):
    """429: too many requests."""


class Unavailable(ApiError):
    """502, 503, 504: the server is busy, starting, or its store is away."""


_BY_STATUS: dict[int, type[ApiError]] = {
    400: InvalidRequest,
    401: Unauthorized,
    403: Forbidden,
    409: Conflict,
    413: InvalidRequest,
    415: InvalidRequest,
    422: InvalidRequest,
    429: RateLimited,
    502: Unavailable,
    503: Unavailable,
    504: Unavailable,
}


def refusal(
    status: int, document: Mapping[str, Any], request_id: str | None, retry_after: float | None
) -> ApiError:
    """Returns the error of a refusal."""
    return _BY_STATUS.get(status, ApiError)(status, document, request_id, retry_after)
