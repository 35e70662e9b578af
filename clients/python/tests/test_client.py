"""The clients against a running server (BOTOPS_URL), and their retries against answers that a test writes."""

from __future__ import annotations

import asyncio
import dataclasses
import importlib.util
import json
import os
import pathlib
import re
import unittest
from collections.abc import Callable

import httpx

import botops_client
from botops_client import (
    ApiError,
    AsyncClient,
    Client,
    Conflict,
    Forbidden,
    InvalidRequest,
    RateLimited,
    Unauthorized,
    Unavailable,
    UnexpectedAnswer,
    Unreachable,
)

ANSWER = {
    "request_id": "r",
    "intent": "greet",
    "confidence": 0.5,
    "entities": [],
    "response": "Hello.",
    "language": "en",
    "fallback": False,
}
Reply = Callable[[httpx.Request], httpx.Response]


class Scripted:
    """Answers in a row, and the requests that got them."""

    def __init__(self, *replies: httpx.Response | Exception) -> None:
        self.replies = list(replies)
        self.requests: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        reply = self.replies.pop(0)
        if isinstance(reply, Exception):
            raise reply
        return reply

    def bodies(self) -> list[dict[str, object]]:
        return [json.loads(request.content) for request in self.requests]

    def client(self, **options: object) -> Client:
        rest = {"longest_pause": 0.01, **options}
        return Client("http://bot.example/", transport=httpx.MockTransport(self), **rest)  # type: ignore[arg-type]


def problem(status: int, code: str = "BOT-6013", **headers: str) -> httpx.Response:
    document = {
        "type": f"urn:botops:{code}",
        "title": "a title",
        "status": status,
        "detail": "the reason",
        "code": code,
        "exit": 2,
        "hints": ["do this"],
        "errors": [{"pointer": "/text", "message": "it is empty"}],
    }
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    return httpx.Response(status, json=document, headers={"x-request-id": "abc", **names})


class Retries(unittest.TestCase):
    def test_a_message_keeps_its_id_until_it_is_answered(self) -> None:
        script = Scripted(
            problem(503, "BOT-6110"),
            httpx.ReadError("the connection broke"),
            problem(429, "BOT-1095", retry_after="0"),
            problem(409, "BOT-6122"),
            httpx.Response(200, json=ANSWER),
        )
        with script.client() as client:
            answer = client.conversation("c", user_id="u", language="fr").send("hello", button="/greet")
        self.assertEqual(answer.response, "Hello.")
        bodies = script.bodies()
        self.assertEqual(len(bodies), 5)
        self.assertTrue(all(body == bodies[0] for body in bodies), bodies)
        self.assertEqual(
            {name: bodies[0][name] for name in ("text", "conversation_id", "user_id", "language", "button")},
            {"text": "hello", "conversation_id": "c", "user_id": "u", "language": "fr", "button": "/greet"},
        )
        self.assertEqual(len(str(bodies[0]["message_id"])), 32)

    def test_two_messages_have_two_ids_and_one_outside_a_conversation_has_none(self) -> None:
        script = Scripted(*[httpx.Response(200, json=ANSWER) for _ in range(3)])
        with script.client() as client:
            talk = client.conversation()
            talk.send("a")
            talk.send("a")
            client.chat("a")
        first, second, third = script.bodies()
        self.assertNotEqual(first["message_id"], second["message_id"])
        self.assertEqual(first["conversation_id"], second["conversation_id"])
        self.assertEqual(third, {"text": "a"})

    def test_it_gives_up_and_says_so(self) -> None:
        script = Scripted(*[problem(503, "BOT-6110") for _ in range(3)])
        with script.client(retries=2) as client, self.assertRaises(Unavailable) as caught:
            client.chat("a")
        self.assertEqual((caught.exception.code, len(script.requests)), ("BOT-6110", 3))
        script = Scripted(*[httpx.ConnectError("refused") for _ in range(3)])
        with script.client(retries=2) as client, self.assertRaisesRegex(Unreachable, "after 3 tries: ConnectError"):
            client.chat("a")

    def test_a_server_that_asks_for_a_longer_pause_than_allowed_is_not_asked_again(self) -> None:
        script = Scripted(problem(429, "BOT-1095", retry_after="60"))
        with script.client() as client, self.assertRaises(RateLimited) as caught:
            client.chat("a")
        self.assertEqual((caught.exception.retry_after, len(script.requests)), (60.0, 1))

    def test_a_refusal_is_an_exception_of_its_status_and_is_not_tried_again(self) -> None:
        for status, kind in [
            (400, InvalidRequest),
            (401, Unauthorized),
            (403, Forbidden),
            (409, Conflict),
            (422, InvalidRequest),
        ]:
            script = Scripted(problem(status))
            with script.client() as client, self.assertRaises(kind) as caught:
                client.chat("a")
            error = caught.exception
            self.assertIs(type(error), kind)
            found = (error.status, error.code, error.detail, error.hints, error.request_id)
            self.assertEqual(found, (status, "BOT-6013", "the reason", ("do this",), "abc"))
            self.assertEqual((error.errors[0].pointer, error.errors[0].message), ("/text", "it is empty"))
            self.assertEqual(str(error), f"HTTP {status} (BOT-6013): the reason")
            self.assertEqual(len(script.requests), 1)

    def test_an_answer_that_is_none_is_said_to_be(self) -> None:
        for reply in [httpx.Response(200, text="<html>"), httpx.Response(200, json=[]), httpx.Response(200, json={})]:
            with Scripted(reply).client() as client, self.assertRaises(UnexpectedAnswer):
                client.chat("a")
        with Scripted(httpx.Response(404, text="nginx")).client() as client:
            with self.assertRaisesRegex(botops_client.ApiError, "^HTTP 404: no details$"):
                client.chat("a")

    def test_the_async_client_tries_again_as_well(self) -> None:
        script = Scripted(problem(503), httpx.ReadError("broken"), httpx.Response(200, json=ANSWER))

        async def talk() -> str | None:
            transport = httpx.MockTransport(script)
            async with AsyncClient("http://bot.example", transport=transport, longest_pause=0.01) as client:
                return (await client.conversation("c").send("hello")).response

        self.assertEqual(asyncio.run(talk()), "Hello.")
        self.assertEqual(len({body["message_id"] for body in script.bodies()}), 1)


class Requests(unittest.TestCase):
    def test_the_key_is_sent_and_shown_nowhere(self) -> None:
        script = Scripted(problem(401, "BOT-1081"))
        client = script.client(key="botops_secret")
        with client, self.assertRaises(Unauthorized) as caught:
            client.chat("a")
        self.assertEqual(script.requests[0].headers["authorization"], "Bearer botops_secret")
        for shown in [repr(client), str(caught.exception), repr(caught.exception)]:
            self.assertNotIn("secret", shown)
        for wrong in ["", "a key", "clé", "a\n"]:
            with self.assertRaises(ValueError) as mistake:
                Client("http://a", key=wrong)
            self.assertTrue(not wrong or wrong not in str(mistake.exception))

    def test_many_texts_are_sent_in_batches_and_come_back_in_order(self) -> None:
        def reply(request: httpx.Request) -> httpx.Response:
            texts = json.loads(request.content)["texts"]
            found = [{"intent": text, "confidence": 1, "fallback": False} for text in texts]
            return httpx.Response(200, json={"request_id": str(len(texts)), "predictions": found})

        with Client("http://a", transport=httpx.MockTransport(reply)) as client:
            found = client.predict((f"t{i}" for i in range(7)), batch_size=3)
            self.assertEqual([it.intent for it in found], [f"t{i}" for i in range(7)])
            self.assertEqual((found.request_ids, len(found), found[-1].intent), (("3", "3", "1"), 7, "t6"))
            self.assertEqual(len(client.predict([])), 0)

    def test_passages_are_searched(self) -> None:
        passage = {
            "knowledge": "help", "title": "Returns", "section": "Parcels", "url": None, "chunk": "c1", "score": 2.5,
            "quote": "Within 30 days.", "language": "en",
        }
        answer = {"request_id": "r", "passages": [passage]}
        script = Scripted(httpx.Response(200, json=answer), httpx.Response(200, json={"passages": [{"knowledge": "help"}]}))
        with script.client() as client:
            (found,) = client.search("return a parcel?", knowledge="help", k=3, mode="lexical", metadata={"product": "a"})
            with self.assertRaises(UnexpectedAnswer):
                client.search("return a parcel?")
        self.assertEqual((found.knowledge, found.language, found.source.quote), ("help", "en", "Within 30 days."))
        self.assertEqual(script.requests[0].url.path, "/v1/search")
        for url, safe in [("HTTPS://a.example/x", "HTTPS://a.example/x"), ("javascript:alert(1)", None), (None, None)]:
            source = dataclasses.replace(found.source, url=url)
            self.assertEqual(source.safe_url, safe)
        asked = {"query": "return a parcel?", "knowledge": "help", "k": 3, "mode": "lexical", "metadata": {"product": "a"}}
        self.assertEqual(script.bodies(), [asked, {"query": "return a parcel?"}])

    def test_mistakes_are_found_before_anything_is_sent(self) -> None:
        script = Scripted()
        with script.client() as client:
            with self.assertRaises(TypeError):
                client.predict("one text")
            with self.assertRaises(TypeError):
                client.predict(["a", None])  # type: ignore[list-item]
            with self.assertRaises(ValueError):
                client.predict(["a"], batch_size=0)
            with self.assertRaises(ValueError):
                client.feedback("t")
            with self.assertRaises(ValueError):
                client.feedback("t", intent="a", correct=True)
            with self.assertRaises(ValueError):
                client.feedback("t", satisfaction=6)
        with self.assertRaises(ValueError):
            Client("bot.example")
        self.assertEqual(script.requests, [])

    def test_the_two_clients_are_the_same(self) -> None:
        folder = pathlib.Path(botops_client.__file__).parent
        found = (folder / "_aio.py").read_text()
        for change in [
            ("async def ", "def "), ("await ", ""), ("asynchronous", "synchronous"), ("asyncio", "time"),
            ("AsyncBaseTransport", "BaseTransport"), ("httpx.AsyncClient", "httpx.Client"), ("AsyncC", "C"),
            ("__aenter__", "__enter__"), ("__aexit__", "__exit__"), ("aclose", "close"),
        ]:
            found = found.replace(*change)
        self.assertEqual(found, (folder / "_sync.py").read_text())


@unittest.skipUnless(os.environ.get("BOTOPS_URL"), "BOTOPS_URL names no server")
class Server(unittest.TestCase):
    """The bot of the Rust tests."""

    url = os.environ.get("BOTOPS_URL", "")

    def test_a_conversation(self) -> None:
        with Client(self.url) as client:
            talk = client.conversation(language="fr")
            answer = talk.send("hello my name is Zoé")
            self.assertEqual((answer.intent, answer.response, answer.language), ("greet", "Bonjour Zoé !", "fr"))
            self.assertEqual([(it.entity, it.value) for it in answer.entities], [("name", "Zoé")])
            entity = answer.entities[0]
            self.assertEqual("hello my name is Zoé"[entity.start : entity.end], "Zoé", "code points")
            self.assertGreater(answer.confidence, 0.3)
            self.assertEqual(talk.judge(answer, correct=True).outcome, "noted")
            self.assertEqual(client.feedback("wrong", intent="greet").outcome, "unknown")
            self.assertEqual(talk.judge(answer, satisfaction=4).outcome, "noted")
            first = talk.send("where is my parcel", message_id="m-1")
            again = talk.send("where is my parcel", message_id="m-1")
            self.assertEqual(first.request_id, again.request_id, "answered once")
            with self.assertRaises(Conflict) as caught:
                talk.send("another text", message_id="m-1")
            self.assertEqual(caught.exception.code, "BOT-6121")
            with self.assertRaises(InvalidRequest) as empty:
                client.chat(" ")
            self.assertEqual((empty.exception.code, empty.exception.errors[0].pointer), ("BOT-6015", "/text"))

    def test_a_search_without_documents(self) -> None:
        with Client(self.url) as client, self.assertRaises(ApiError) as caught:
            client.search("returns")
        self.assertEqual((caught.exception.status, caught.exception.code), (404, "BOT-6177"))

    def test_predictions_and_a_table(self) -> None:
        texts = ["where is my parcel", "hello there", "жжж"]
        with Client(self.url) as client:
            self.assertEqual(client.health().status, "ok")
            self.assertEqual(client.readiness().status, "ready")
            found = client.predict(texts, top_k=2)
            self.assertEqual([it.intent for it in found][:2], ["parcel", "greet"])
            self.assertEqual(len(found[0].scores), 2)
            self.assertTrue(found[2].fallback)
            self.assertEqual(client.predict_one(texts[0]).intent, "parcel")
            for kind in ("pandas", "polars"):
                if importlib.util.find_spec(kind) is None:
                    continue
                frame = client.predict_frame(texts, frame=kind)  # type: ignore[arg-type]
                self.assertEqual(list(frame.columns), ["text", "intent", "confidence", "fallback"])
                self.assertEqual(list(frame["intent"])[:2], ["parcel", "greet"])
                again = client.predict_frame(frame["text"], frame=kind)  # type: ignore[arg-type]
                self.assertEqual(list(again["fallback"]), [False, False, True])

    def test_many_conversations_at_a_time(self) -> None:
        async def all_of_them() -> list[str | None]:
            async with AsyncClient(self.url) as client:
                names = [f"n{i}" for i in range(20)]
                answers = await asyncio.gather(
                    *(client.conversation().send(f"hello my name is {name}") for name in names)
                )
                self.assertEqual((await client.predict_one("where is my parcel")).intent, "parcel")
                return [answer.response for answer in answers]

        self.assertEqual(asyncio.run(all_of_them()), [f"Hello n{i}!" for i in range(20)])

    def test_a_server_that_is_away(self) -> None:
        gone = re.sub(r":\d+$", ":9", self.url.rstrip("/"))
        with Client(gone, retries=1, longest_pause=0.01) as client, self.assertRaises(Unreachable) as caught:
            client.chat("a")
        self.assertIn("after 2 tries", str(caught.exception))


if __name__ == "__main__":
    unittest.main()
