"""The answers of a server."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ._errors import UnexpectedAnswer


@dataclass(frozen=True)
class Entity:
    """An entity in a message."""

    entity: str
    """Its name."""
    value: str
    """Its text."""
    start: int
    """The first code point of the value in the message: an index of a ``str``."""
    end: int
    """One past the last."""
    normalised: Any = None
    """Its normal form, such as ``{"date": "2026-11-30"}``, if it has one."""
    role: str | None = None
    group: str | None = None


@dataclass(frozen=True)
class Button:
    """A suggested answer. Send it with ``send(button.title, button=button.payload)``."""

    title: str
    payload: str


@dataclass(frozen=True)
class Source:
    """A passage of a document that an answer was taken from."""

    title: str
    """The title of the document."""
    section: str
    """The headings above the passage, joined by ``" > "``."""
    url: str | None
    """The address of the document. It comes from the document: make links of ``safe_url`` only."""
    chunk: str
    """The identity of the passage."""
    score: float
    quote: str
    """The words of the document, as they stand there."""
    page: int | None = None
    """The page, from 1, in formats that have pages."""

    @property
    def safe_url(self) -> str | None:
        """The address if it is one of the web, else ``None``: a document may name a script."""
        is_web = self.url is not None and self.url.lower().startswith(("https://", "http://"))
        return self.url if is_web else None

    @classmethod
    def of(cls, body: Mapping[str, Any]) -> Source:
        """Reads a source."""
        return cls(
            title=body["title"],
            section=body["section"],
            url=body.get("url"),
            chunk=body["chunk"],
            score=float(body["score"]),
            quote=body["quote"],
            page=body.get("page"),
        )


@dataclass(frozen=True)
class Passage:
    """A passage of a document that fits a question."""

    knowledge: str
    """The knowledge base."""
    source: Source
    """Its place; ``source.quote`` is the whole passage."""
    language: str | None = None
    """The language of the document."""

    @classmethod
    def all_of(cls, body: Mapping[str, Any]) -> tuple[Passage, ...]:
        """Reads the answer of ``/v1/search``."""
        try:
            return tuple(cls(it["knowledge"], Source.of(it), it.get("language")) for it in body["passages"])
        except (KeyError, TypeError, ValueError) as error:
            raise UnexpectedAnswer(f"the answer has another shape: {error!r}") from error


@dataclass(frozen=True)
class Score:
    """An intent and its probability."""

    intent: str
    confidence: float


@dataclass(frozen=True)
class Answer:
    """The answer to a message."""

    request_id: str
    intent: str
    """The most likely intent."""
    confidence: float
    """Its probability, in [0, 1]."""
    fallback: bool
    """Whether the model declined to answer."""
    response: str | None
    """The text of the bot; ``None`` if it has no response to the intent."""
    language: str | None
    entities: tuple[Entity, ...] = ()
    buttons: tuple[Button, ...] = ()
    sources: tuple[Source, ...] = ()
    """The passages of documents that the answer was taken from; empty for an answer of an intent."""
    answered_by: str | None = None
    """``knowledge`` for a quote of a document, ``generated`` for an answer that a language model wrote from documents."""
    slots: Mapping[str, Any] = field(default_factory=dict)
    state: str | None = None
    """What the bot waits for, such as ``awaiting_slot``, or ``handed_off``."""
    message_number: int | None = None
    """The number of the turn in its conversation."""
    feedback_token: str | None = None
    """The token with which feedback on this answer counts."""
    model: str | None = None
    """The version that answered; only for keys with the scope ``read``, as the next two."""
    digest: str | None = None
    arm: str | None = None
    raw: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)
    """The answer as it came."""

    @classmethod
    def of(cls, body: Mapping[str, Any]) -> Answer:
        """Reads the answer of ``/v1/chat``."""
        try:
            return cls(
                request_id=body["request_id"],
                intent=body["intent"],
                confidence=float(body["confidence"]),
                fallback=body["fallback"],
                response=body["response"],
                language=body["language"],
                entities=tuple(
                    Entity(
                        entity=it["entity"],
                        value=it["value"],
                        start=it["start"],
                        end=it["end"],
                        normalised=it.get("normalised"),
                        role=it.get("role"),
                        group=it.get("group"),
                    )
                    for it in body["entities"]
                ),
                buttons=tuple(Button(it["title"], it["payload"]) for it in body.get("buttons", ())),
                sources=tuple(Source.of(it) for it in body.get("sources", ())),
                answered_by=body.get("answered_by"),
                slots=body.get("slots", {}),
                state=body.get("state"),
                message_number=body.get("message_number"),
                feedback_token=body.get("feedback_token"),
                model=body.get("model"),
                digest=body.get("digest"),
                arm=body.get("arm"),
                raw=body,
            )
        except (KeyError, TypeError, ValueError) as error:
            raise UnexpectedAnswer(f"the answer has another shape: {error!r}") from error


@dataclass(frozen=True)
class Prediction:
    """The intent of a text."""

    intent: str
    confidence: float
    fallback: bool
    prediction_set: tuple[str, ...] | None = None
    """The intents that the text may have, if the model makes such sets."""
    scores: tuple[Score, ...] = ()
    """The most likely intents, if ``top_k`` asked for them."""


@dataclass(frozen=True)
class Predictions(Sequence[Prediction]):
    """The intents of several texts, in their order."""

    items: tuple[Prediction, ...]
    request_ids: tuple[str, ...] = ()
    feedback_token: str | None = None
    """The token with which feedback on the last text counts."""
    model: str | None = None
    """The version that answered; only for keys with the scope ``read``."""

    def __getitem__(self, index: Any) -> Any:
        return self.items[index]

    def __len__(self) -> int:
        return len(self.items)

    def __iter__(self) -> Iterator[Prediction]:
        return iter(self.items)

    @classmethod
    def of(cls, bodies: Sequence[Mapping[str, Any]]) -> Predictions:
        """Reads the answers of ``/v1/predict``, one for each batch."""
        try:
            return cls(
                items=tuple(
                    Prediction(
                        intent=it["intent"],
                        confidence=float(it["confidence"]),
                        fallback=it["fallback"],
                        prediction_set=None if it.get("prediction_set") is None else tuple(it["prediction_set"]),
                        scores=tuple(Score(s["intent"], float(s["confidence"])) for s in it.get("scores") or ()),
                    )
                    for body in bodies
                    for it in body["predictions"]
                ),
                request_ids=tuple(body["request_id"] for body in bodies),
                feedback_token=bodies[-1].get("feedback_token") if bodies else None,
                model=bodies[-1].get("model") if bodies else None,
            )
        except (KeyError, TypeError, ValueError) as error:
            raise UnexpectedAnswer(f"the answer has another shape: {error!r}") from error

    def columns(self, texts: Sequence[str]) -> dict[str, list[Any]]:
        """Returns the predictions of ``texts`` by column: text, intent, confidence, fallback."""
        return {
            "text": list(texts),
            "intent": [it.intent for it in self.items],
            "confidence": [it.confidence for it in self.items],
            "fallback": [it.fallback for it in self.items],
        }


@dataclass(frozen=True)
class Feedback:
    """The outcome of feedback."""

    outcome: str
    """``counted``, ``noted`` or ``unknown``."""

    @property
    def counted(self) -> bool:
        """Whether it counts for the rollout under way."""
        return self.outcome == "counted"


@dataclass(frozen=True)
class Health:
    """The state of a server's process."""

    status: str
    version: str


@dataclass(frozen=True)
class Readiness:
    """Whether a server can answer."""

    status: str
    """``ready``, or ``degraded`` if it serves with a problem that a person has to solve."""
    problems: tuple[str, ...] = ()
    model: str | None = None
