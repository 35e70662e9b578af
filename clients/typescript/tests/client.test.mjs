// The client against a running server (BOTOPS_URL), and its retries against answers that a test writes. BOTOPS_DIST is the
// folder of the compiled client.
import assert from "node:assert/strict";
import { test } from "node:test";
import { pathToFileURL } from "node:url";

const dist = pathToFileURL(`${process.env.BOTOPS_DIST}/index.js`);
const { ApiError, BotopsClient, BotopsError, Unreachable } = await import(dist);
const url = process.env.BOTOPS_URL;

const ANSWER = { request_id: "r", intent: "greet", confidence: 0.5, fallback: false, response: "Hello.", language: "en", entities: [] };

// Returns a client whose requests get these replies: an answer, [status, code, retry-after], or an error.
function scripted(replies, options = {}) {
  const requests = [];
  const fetch = async (address, request) => {
    requests.push({ address, headers: request.headers, body: request.body && JSON.parse(request.body) });
    const reply = replies.shift();
    if (reply instanceof Error) throw reply;
    if (!Array.isArray(reply)) return Response.json(reply);
    const [status, code, wait] = reply;
    const headers = { "x-request-id": "abc", ...(wait === undefined ? {} : { "retry-after": String(wait) }) };
    return Response.json({ code, detail: "the reason", hints: ["do this"] }, { status, headers });
  };
  return [new BotopsClient("http://bot.example/", { fetch, longestPause: 20, ...options }), requests];
}

test("a message keeps its id until it is answered", async () => {
  const [client, requests] = scripted([[503, "BOT-6110"], new TypeError("lost"), [429, "BOT-1095", 0], [409, "BOT-6122"], ANSWER]);
  const talk = client.conversation({ id: "c", userId: "u", language: "fr" });
  assert.equal((await talk.send("hello", { button: "/greet" })).response, "Hello.");
  assert.equal(requests.length, 5);
  for (const { body } of requests) assert.deepEqual(body, requests[0].body);
  const { message_id, ...rest } = requests[0].body;
  assert.match(message_id, /^[0-9a-f]{32}$/);
  assert.deepEqual(rest, { text: "hello", conversation_id: "c", user_id: "u", language: "fr", button: "/greet" });
  assert.equal(requests[0].address, "http://bot.example/v1/chat");
});

test("a refusal is an error of its own and is not tried again", async () => {
  for (const [status, code, wait] of [[401, "BOT-1081"], [403, "BOT-1046"], [422, "BOT-6013"], [409, "BOT-6121"], [429, "BOT-1095", 60]]) {
    const [client, requests] = scripted([[status, code, wait]]);
    const error = await client.chat("a").then(assert.fail, (error) => error);
    assert.ok(error instanceof ApiError);
    assert.deepEqual(
      [error.status, error.code, error.detail, error.hints, error.requestId, error.retryAfter],
      [status, code, "the reason", ["do this"], "abc", wait ?? 0],
    );
    assert.equal(requests.length, 1);
  }
  const [client] = scripted([new TypeError("refused"), new TypeError("refused")], { retries: 1 });
  await assert.rejects(client.chat("a"), (error) => error instanceof Unreachable && /after 2 tries/.test(error.message));
});

test("the key is sent and shown nowhere", async () => {
  const [client, requests] = scripted([[401, "BOT-1081"]], { key: "botops_secret" });
  const error = await client.chat("a").then(assert.fail, (error) => error);
  assert.equal(requests[0].headers.authorization, "Bearer botops_secret");
  const { inspect } = await import("node:util");
  for (const shown of [JSON.stringify(client), inspect(client), error.stack]) assert.doesNotMatch(shown, /secret/);
  for (const key of ["", "a key", "clé"]) assert.throws(() => new BotopsClient("http://a", { key }), BotopsError);
  assert.throws(() => new BotopsClient("bot.example"), /is not the address of a server/);
});

test("texts are classified in batches and come back in order", async () => {
  const fetch = async (_, request) => {
    const { texts } = JSON.parse(request.body);
    return Response.json({ predictions: texts.map((intent) => ({ intent, confidence: 1, fallback: false })) });
  };
  const found = await new BotopsClient("http://a", { fetch }).predict(["a", "b", "c", "d", "e"], { batchSize: 2 });
  assert.deepEqual(found.map((it) => it.intent), ["a", "b", "c", "d", "e"]);
});

test("passages are searched", async () => {
  const passage = {
    knowledge: "help", title: "Returns", section: "Parcels", url: null, chunk: "c1", score: 2.5, quote: "Within 30 days.", language: "en",
  };
  const [client, requests] = scripted([{ request_id: "r", passages: [passage] }]);
  const found = await client.search("return a parcel?", { knowledge: "help", k: 3, mode: "lexical", conversationId: "c" });
  assert.deepEqual(found, [passage]);
  assert.equal(requests[0].address, "http://bot.example/v1/search");
  assert.deepEqual(requests[0].body, { query: "return a parcel?", knowledge: "help", k: 3, mode: "lexical", conversation_id: "c" });
});

test("a search of a server without documents", { skip: !url }, async () => {
  const error = await new BotopsClient(url).search("returns").then(assert.fail, (error) => error);
  assert.deepEqual([error.status, error.code], [404, "BOT-6177"]);
});

test("a socket hands on sentences before the answer, if they are wanted", async () => {
  const Plain = globalThis.WebSocket;
  const frames = [];
  globalThis.WebSocket = class {
    constructor() { setTimeout(() => this.onopen()); }
    send(text) {
      const frame = JSON.parse(text);
      frames.push(frame);
      const give = (reply) => this.onmessage({ data: JSON.stringify(reply) });
      if (frame.type === "hello") return give({ type: "ready", number: null });
      for (const text of ["One. [1]", "Two. [1]"]) give({ type: "sentence", message_id: frame.message_id, text });
      give({ type: "answer", message_id: frame.message_id, number: 0, ...ANSWER });
    }
    close() {}
  };
  try {
    for (const wanted of [true, false]) {
      const seen = [];
      const options = wanted ? { onSentence: (text, id) => seen.push([text, id]) } : {};
      const socket = new BotopsClient("http://bot.example").connect(options);
      assert.equal((await socket.send("hello", { messageId: "m" })).response, "Hello.");
      assert.deepEqual(seen, wanted ? [["One. [1]", "m"], ["Two. [1]", "m"]] : []);
      assert.equal(frames.findLast((it) => it.type === "hello").sentences, wanted ? true : undefined);
      socket.close();
    }
  } finally {
    globalThis.WebSocket = Plain;
  }
});

test("a conversation with a server", { skip: !url }, async () => {
  const client = new BotopsClient(url);
  assert.equal(await client.readiness(), "ready");
  const talk = client.conversation({ language: "fr" });
  const answer = await talk.send("hello my name is Zoé");
  assert.deepEqual([answer.intent, answer.response, answer.language], ["greet", "Bonjour Zoé !", "fr"]);
  assert.equal(await talk.judge(answer, { correct: true }), "noted");
  assert.equal(await client.feedback("wrong", { intent: "greet" }), "unknown");
  assert.equal(await talk.judge(answer, { satisfaction: 4 }), "noted");
  const first = await talk.send("where is my parcel", { messageId: "m-1" });
  assert.equal((await talk.send("where is my parcel", { messageId: "m-1" })).request_id, first.request_id);
  await assert.rejects(talk.send("another text", { messageId: "m-1" }), { status: 409, code: "BOT-6121" });
  const found = await client.predict(["where is my parcel", "hello there"], { topK: 2 });
  assert.deepEqual(found.map((it) => it.intent), ["parcel", "greet"]);
  assert.equal(found[0].scores.length, 2);
});

test("a conversation over a WebSocket", { skip: !url }, async () => {
  const client = new BotopsClient(url, { longestPause: 50 });
  const socket = client.connect({ language: "fr" });
  const sent = ["hello my name is Zoé", "where is my parcel"].map((text) => socket.send(text));
  const answers = await Promise.all(sent);
  assert.deepEqual(answers.map((it) => it.response), ["Bonjour Zoé !", "Votre colis est en route."]);
  await assert.rejects(socket.send(" "), (error) => error instanceof ApiError && error.code === "BOT-6015");
  assert.equal((await socket.send("hello there")).response, "Bonjour vous !", "the socket goes on");
  socket.close();
  await assert.rejects(socket.send("a"), /is closed/);

  // Another socket gets the answers that it does not know, and goes on with the conversation.
  const seen = [];
  const resumed = client.connect({
    conversationId: socket.conversationId,
    resumeFrom: 0,
    onAnswer: (answer, id, number) => seen.push([answer.response, typeof id, number]),
  });
  assert.equal((await resumed.send("where is my parcel")).intent, "parcel");
  assert.deepEqual(seen, [["Votre colis est en route.", "string", 1], ["Bonjour vous !", "string", 2]]);
  resumed.close();
});

test("a socket to a server that is away gives up", { skip: !url }, async () => {
  const client = new BotopsClient(url.replace(/:\d+$/, ":9"), { retries: 1, longestPause: 10 });
  await assert.rejects(client.connect().send("hello"), (error) => error instanceof Unreachable);
});
