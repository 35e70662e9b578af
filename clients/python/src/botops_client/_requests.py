"""What both clients share: requests, retries, and the reading of answers. No input or output."""

from __future__ import annotations

import random
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import httpx

from ._errors import ApiError, UnexpectedAnswer, refusal
from ._types import Feedback, Health, Predictions, Readiness

FrameKind = Literal["pandas", "polars"]
RankingMode = Literal["lexical", "dense", "hybrid"]

_AGAIN = frozenset({429, 502, 503, 504})
_FIRST_PAUSE = 0.25


@dataclass(frozen=True)
class Request:
    """A request to one path."""

    method: str
    path: str
    body: dict[str, Any] | None = None


@dataclass(frozen=True)
class Retries:
    """How often, and how long, a request is tried again."""

    most: int = 4
    """The tries after the first."""
    longest_pause: float = 30.0
    """The longest pause between two tries, in seconds. A server that asks for a longer one is not asked again."""

    def pause(self, tries: int, error: ApiError | None) -> float | None:
        """Returns the pause after the ``tries``-th try failed; ``None`` if the failure stands.

        ``error`` is the refusal, or ``None`` if no answer came.
        """
        if tries > self.most:
            return None
        if error is not None:
            is_race = error.code == "BOT-6122"
            if error.status not in _AGAIN and not is_race:
                return None
            if (error.retry_after or 0.0) > self.longest_pause:
                return None
        grown = min(self.longest_pause, _FIRST_PAUSE * 2.0 ** (tries - 1))
        varied = grown * random.uniform(0.75, 1.25)
        return max(varied, (error.retry_after or 0.0) if error else 0.0)


def headers(key: str | None) -> dict[str, str]:
    """Returns the headers of every request."""
    found = {"accept": "application/json", "user-agent": "botops-client/0.1.0 (python)"}
    if key is not None:
        if not key or not key.isascii() or any(c.isspace() for c in key):
            # The key itself is not shown: it may be a secret with a typing mistake.
            raise ValueError("the key is empty, or has characters that no key has")
        found["authorization"] = f"Bearer {key}"
    return found


def read(response: httpx.Response) -> dict[str, Any]:
    """Returns the body of an answer.

    Raises the error of a refusal.
    """
    try:
        body = response.json()
    except ValueError:
        body = None
    if response.is_success:
        if not isinstance(body, dict):
            raise UnexpectedAnswer(f"{response.request.url.path} answered {response.status_code} without a JSON object")
        return body
    after = response.headers.get("retry-after", "")
    raise refusal(
        response.status_code,
        body if isinstance(body, dict) else {},
        response.headers.get("x-request-id"),
        float(after) if after.isdigit() else None,
    )


def new_id() -> str:
    """Returns an id that nobody else has."""
    return uuid.uuid4().hex


def chat(
    text: str,
    conversation_id: str | None,
    message_id: str | None,
    user_id: str | None,
    language: str | None,
    button: str | None,
    use_knowledge: bool | None = None,
    metadata: Mapping[str, Any] | None = None,
) -> Request:
    """Returns the request of a message. In a conversation, it gets an id, so that it can be sent again."""
    if message_id is None and conversation_id is not None:
        message_id = new_id()
    body = {
        "text": text,
        "conversation_id": conversation_id,
        "message_id": message_id,
        "user_id": user_id,
        "language": language,
        "button": button,
        "use_knowledge": use_knowledge,
        "metadata": None if metadata is None else dict(metadata),
    }
    return Request("POST", "/v1/chat", {name: it for name, it in body.items() if it is not None})


def search(
    query: str,
    knowledge: str | None,
    k: int | None,
    mode: RankingMode | None,
    metadata: Mapping[str, Any] | None,
    conversation_id: str | None,
) -> Request:
    """Returns the request for the passages that fit a question."""
    body = {
        "query": query,
        "knowledge": knowledge,
        "k": k,
        "mode": mode,
        "metadata": None if metadata is None else dict(metadata),
        "conversation_id": conversation_id,
    }
    return Request("POST", "/v1/search", {name: it for name, it in body.items() if it is not None})


def predict(
    texts: Sequence[str], top_k: int | None, conversation_id: str | None, batch_size: int
) -> list[Request]:
    """Returns the requests that classify ``texts``, in batches."""
    if batch_size < 1:
        raise ValueError("batch_size must be at least 1")
    rest = {"top_k": top_k, "conversation_id": conversation_id}
    given = {name: it for name, it in rest.items() if it is not None}
    return [
        Request("POST", "/v1/predict", {"texts": list(texts[at : at + batch_size]), **given})
        for at in range(0, len(texts), batch_size)
    ]


def as_texts(texts: Iterable[str]) -> list[str]:
    """Returns the texts of a list, a column, or any other iterable; a single ``str`` is a mistake here."""
    if isinstance(texts, (str, bytes)):
        raise TypeError("expected several texts: pass a list, or call predict_one for one text")
    found = list(texts)
    for index, text in enumerate(found):
        if not isinstance(text, str):
            raise TypeError(f"text {index} is {type(text).__name__}, not str")
    return found


def feedback(token: str, intent: str | None, correct: bool | None, satisfaction: int | None) -> Request:
    """Returns the request of a verdict: the true intent, or whether the answer was right; and the satisfaction with it."""
    if intent is not None and correct is not None:
        raise ValueError("pass either intent or correct")
    if intent is None and correct is None and satisfaction is None:
        raise ValueError("pass intent, correct or satisfaction")
    if satisfaction is not None and not 1 <= satisfaction <= 5:
        raise ValueError("satisfaction is from 1 to 5")
    verdict = {"intent": intent, "correct": correct, "satisfaction": satisfaction}
    given = {key: value for key, value in verdict.items() if value is not None}
    return Request("POST", "/v1/feedback", {"token": token, **given})


def read_feedback(body: dict[str, Any]) -> Feedback:
    """Reads the answer of ``/v1/feedback``."""
    return Feedback(str(body.get("outcome", "")))


def read_health(body: dict[str, Any]) -> Health:
    """Reads the answer of ``/health``."""
    return Health(str(body.get("status", "")), str(body.get("version", "")))


def read_readiness(body: dict[str, Any]) -> Readiness:
    """Reads the answer of ``/readiness``."""
    problems = tuple(str(it) for it in body.get("problems") or ())
    return Readiness(str(body.get("status", "")), problems, body.get("model"))


def frame(found: Predictions, texts: Sequence[str], kind: FrameKind) -> Any:
    """Returns a table of predictions: text, intent, confidence, fallback."""
    columns = found.columns(texts)
    if kind == "pandas":
        import pandas

        return pandas.DataFrame(columns)
    if kind == "polars":
        import polars

        return polars.DataFrame(columns)
    raise ValueError(f"frame must be 'pandas' or 'polars', not {kind!r}")
