"""The synchronous client."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from types import TracebackType
from typing import Any

import httpx

from . import _requests as requests
from ._errors import ApiError, Unreachable
from ._requests import FrameKind, RankingMode, Request, Retries
from ._types import Answer, Feedback, Health, Passage, Prediction, Predictions, Readiness


class Client:
    """A client of the public API of a botops server.

    ``url`` is its public address, and ``key`` an API key, if it needs one. ``timeout`` limits one try, in seconds;
    ``retries`` is how often a request is tried again while the server is busy or away. ``transport`` replaces the
    connection, for tests.
    """

    def __init__(
        self,
        url: str,
        *,
        key: str | None = None,
        timeout: float = 30.0,
        retries: int = 4,
        longest_pause: float = 30.0,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        if not url.startswith(("http://", "https://")):
            raise ValueError(f"{url!r} is not the address of a server: it begins with http:// or https://")
        self._url = url.rstrip("/")
        self._retries = Retries(retries, longest_pause)
        self._http = httpx.Client(
            headers=requests.headers(key), timeout=timeout, transport=transport, follow_redirects=False
        )

    def __repr__(self) -> str:
        return f"Client({self._url!r})"

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Closes the connections."""
        self._http.close()

    def _ask(self, request: Request) -> dict[str, Any]:
        tries = 0
        while True:
            tries += 1
            refused: ApiError | None = None
            failed: Exception
            try:
                response = self._http.request(request.method, self._url + request.path, json=request.body)
                return requests.read(response)
            except ApiError as error:
                failed = refused = error
            except httpx.TransportError as error:
                failed = error
            pause = self._retries.pause(tries, refused)
            if pause is None:
                if refused is not None:
                    raise refused
                what = type(failed).__name__
                raise Unreachable(f"{self._url} did not answer after {tries} tries: {what}: {failed}") from failed
            time.sleep(pause)

    def chat(
        self,
        text: str,
        *,
        conversation_id: str | None = None,
        message_id: str | None = None,
        user_id: str | None = None,
        language: str | None = None,
        button: str | None = None,
        use_knowledge: bool | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> Answer:
        """Sends one message and returns the answer.

        In a conversation, the message gets an id, so it is answered once even if it has to be sent again.
        ``metadata`` limits the documents that may answer, such as ``{"product": "vacuum"}``; ``use_knowledge=False`` excludes
        all of them.
        """
        request = requests.chat(
            text, conversation_id, message_id, user_id, language, button, use_knowledge, metadata
        )
        return Answer.of(self._ask(request))

    def conversation(
        self, id: str | None = None, *, user_id: str | None = None, language: str | None = None
    ) -> Conversation:
        """Begins a conversation, or goes on with the one called ``id``."""
        return Conversation(self, id or requests.new_id(), user_id, language)

    def search(
        self,
        query: str,
        *,
        knowledge: str | None = None,
        k: int | None = None,
        mode: RankingMode | None = None,
        metadata: Mapping[str, Any] | None = None,
        conversation_id: str | None = None,
    ) -> tuple[Passage, ...]:
        """Returns the passages of documents that fit a question, best first in each knowledge base.

        ``k`` is the most passages of each base, from 1 to 50 (5). ``metadata`` limits the documents, such as
        ``{"product": "vacuum"}``. The key needs the scope ``search``.
        """
        request = requests.search(query, knowledge, k, mode, metadata, conversation_id)
        return Passage.all_of(self._ask(request))

    def predict(
        self,
        texts: Iterable[str],
        *,
        top_k: int | None = None,
        conversation_id: str | None = None,
        batch_size: int = 256,
    ) -> Predictions:
        """Classifies texts, in batches; returns one prediction for each, in their order."""
        listed = requests.as_texts(texts)
        bodies = [self._ask(it) for it in requests.predict(listed, top_k, conversation_id, batch_size)]
        return Predictions.of(bodies)

    def predict_one(
        self, text: str, *, top_k: int | None = None, conversation_id: str | None = None
    ) -> Prediction:
        """Classifies one text."""
        found = self.predict([text], top_k=top_k, conversation_id=conversation_id)
        return found.items[0]

    def predict_frame(
        self, texts: Iterable[str], *, frame: FrameKind = "pandas", batch_size: int = 256
    ) -> Any:
        """Classifies texts and returns a ``DataFrame`` with the columns text, intent, confidence and fallback."""
        listed = requests.as_texts(texts)
        found = self.predict(listed, batch_size=batch_size)
        return requests.frame(found, listed, frame)

    def feedback(
        self, token: str, *, intent: str | None = None, correct: bool | None = None, satisfaction: int | None = None
    ) -> Feedback:
        """Judges the answer behind ``token``: by the true intent, or by whether it was right.

        ``satisfaction``, from 1 (not at all) to 5, may stand beside the verdict or instead of it.
        """
        return requests.read_feedback(self._ask(requests.feedback(token, intent, correct, satisfaction)))

    def health(self) -> Health:
        """Returns whether the process is alive."""
        return requests.read_health(self._ask(Request("GET", "/health")))

    def readiness(self) -> Readiness:
        """Returns whether the server can answer; raises :class:`Unavailable` if it cannot."""
        return requests.read_readiness(self._ask(Request("GET", "/readiness")))


class Conversation:
    """A conversation: its messages share an id, a person and a language."""

    def __init__(
        self, client: Client, id: str, user_id: str | None, language: str | None
    ) -> None:
        self.id = id
        self.user_id = user_id
        self.language = language
        self._client = client

    def send(self, text: str, *, button: str | None = None, message_id: str | None = None) -> Answer:
        """Sends a message and returns the answer. ``button`` is the payload of the button that was pressed."""
        return self._client.chat(
            text,
            conversation_id=self.id,
            message_id=message_id,
            user_id=self.user_id,
            language=self.language,
            button=button,
        )

    def judge(
        self,
        answer: Answer,
        *,
        intent: str | None = None,
        correct: bool | None = None,
        satisfaction: int | None = None,
    ) -> Feedback:
        """Judges an answer: by the true intent, by whether it was right, or by the satisfaction with it."""
        if answer.feedback_token is None:
            raise ValueError("the answer carries no feedback token")
        token = answer.feedback_token
        return self._client.feedback(token, intent=intent, correct=correct, satisfaction=satisfaction)
