"""A typed client of a botops server: chat, predictions, search and feedback, sync and async."""

from ._aio import AsyncClient, AsyncConversation
from ._errors import (
    ApiError,
    BotopsError,
    Conflict,
    FieldError,
    Forbidden,
    InvalidRequest,
    RateLimited,
    Unauthorized,
    Unavailable,
    Unreachable,
    UnexpectedAnswer,
)
from ._sync import Client, Conversation
from ._types import Answer, Button, Entity, Feedback, Health, Passage, Prediction, Predictions, Readiness, Score, Source

__all__ = [
    "Answer",
    "ApiError",
    "AsyncClient",
    "AsyncConversation",
    "BotopsError",
    "Button",
    "Client",
    "Conflict",
    "Conversation",
    "Entity",
    "Feedback",
    "FieldError",
    "Forbidden",
    "Health",
    "InvalidRequest",
    "Passage",
    "Prediction",
    "Predictions",
    "RateLimited",
    "Readiness",
    "Score",
    "Source",
    "Unauthorized",
    "Unavailable",
    "UnexpectedAnswer",
    "Unreachable",
]

__version__ = "0.1.0"
