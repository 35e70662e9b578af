
// The way to the server: one message at a time, in their order, each until it is answered or refused for good. A message
// keeps its id, so the server answers it once however often it is sent.
const PATIENCE = 30_000, LONGEST_PAUSE = 30_000, FEW_TRIES = 5;

// A refusal: its status, its problem document, and the seconds after which the server wants to be asked again.
class Refusal extends Error {
  constructor(status, problem, wait) {
    super(problem?.detail ?? `HTTP ${status}`);
    Object.assign(this, { status, problem: problem ?? {}, wait });
  }
}

async function post(path, body) {
  const headers = { "content-type": "application/json" };
  if (memory.key) headers.authorization = `Bearer ${memory.key}`;
  const request = { method: "POST", headers, body: JSON.stringify(body), credentials: "omit", cache: "no-store" };
  const response = await fetch(path, { ...request, signal: AbortSignal.timeout(PATIENCE) });
  const answer = await response.json().catch(() => null);
  if (response.ok && answer) return answer;
  const wait = Number(response.headers.get("retry-after"));
  throw new Refusal(response.ok ? 502 : response.status, answer, wait > 0 ? wait : 0);
}

// The socket, where the server has one. Whatever happens to it, messages go by POST as well.
const socket = {
  link: null, isReady: false, failures: 0, pending: new Map(), timer: 0,

  open() {
    clearTimeout(this.timer);
    if (this.link || this.failures > 2 || navigator.onLine === false) return;
    const protocols = ["botops.v1"];
    if (memory.key) protocols.push(`botops.bearer.${memory.key}`);
    let link;
    try {
      link = new WebSocket(`${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/v1/ws`, protocols);
    } catch { return; }
    this.link = link;
    const { conversation, number } = memory.state;
    link.onopen = () => link.send(JSON.stringify({ type: "hello", conversation_id: conversation, resume_from: number, sentences: true }));
    link.onmessage = (event) => { if (this.link === link) this.read(event.data); };
    link.onclose = () => { if (this.link === link) this.lost(); };
  },

  read(text) {
    let frame;
    try { frame = JSON.parse(text); } catch { return; }
    if (frame.type === "ready") {
      [this.isReady, this.failures] = [true, 0];
    } else if (frame.type === "answer") {
      const known = this.pending.get(frame.message_id);
      if (known) known.resolve(frame);
      else takeAnswer(frame.message_id, frame);
    } else if (frame.type === "sentence") {
      takeSentence(frame.message_id, frame.text);
    } else if (frame.type === "error") {
      const known = this.pending.get(frame.message_id) ?? [...this.pending.values()][0];
      known?.reject(new Refusal(frame.status, frame, Number(frame.retry_after) || 0));
    }
  },

  lost() {
    if (!this.isReady) this.failures += 1;
    [this.link, this.isReady] = [null, false];
    for (const known of this.pending.values()) known.reject(new TypeError("the socket is closed"));
    this.timer = setTimeout(() => this.open(), pause(this.failures + 1));
  },

  close() {
    const link = this.link;
    [this.link, this.isReady, this.failures] = [null, false, 0];
    for (const known of this.pending.values()) known.reject(new TypeError("the socket is closed"));
    link?.close(1000);
  },

  isOpen() {
    return this.isReady && this.link.readyState === WebSocket.OPEN;
  },

  send(message) {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new TypeError("no answer on the socket")), PATIENCE);
      const end = (act) => (value) => { clearTimeout(timer); this.pending.delete(message.message_id); act(value); };
      this.pending.set(message.message_id, { resolve: end(resolve), reject: end(reject) });
      this.link.send(JSON.stringify({ type: "message", ...message }));
    });
  },
};

// The pause before the next try, in milliseconds: it doubles, and varies so that many pages do not come back at once.
function pause(tries) {
  return Math.min(LONGEST_PAUSE, 500 * 2 ** Math.min(tries, 10)) * (0.75 + Math.random() / 2);
}

// Waits, and tells how long; ends early when the browser is online again or the reader wants to try now.
function waitFor(milliseconds, name) {
  return new Promise((resolve) => {
    const until = Date.now() + milliseconds;
    const show = () => showCountdown(Math.max(1, Math.ceil((until - Date.now()) / 1000)));
    const ticks = setInterval(show, 1000);
    const timer = setTimeout(() => wake(), milliseconds);
    wake = () => {
      clearInterval(ticks);
      clearTimeout(timer);
      wake = () => {};
      showCountdown();
      resolve();
    };
    showStatus(name);
    show();
  });
}
let wake = () => {};

function online() {
  if (navigator.onLine !== false) return Promise.resolve();
  showStatus("offline");
  return new Promise((resolve) => addEventListener("online", resolve, { once: true }));
}

let keepsTurns = true;
const sent = (turn) => {
  const { conversation, language } = memory.state;
  const message = { text: turn.text };
  if (keepsTurns) message.message_id = turn.id;
  if (language) message.language = language;
  if (turn.button) message.button = turn.button;
  return [message, { conversation_id: conversation, ...message }];
};

// Sends a turn until it is answered. Returns the answer.
async function deliver(turn, isWanted) {
  let useSocket = true;
  for (let tries = 1; isWanted(); ) {
    await online();
    showTyping(true);
    // The answer to another try is written anew.
    dropSentences(turn);
    const [message, body] = sent(turn);
    const bySocket = useSocket && keepsTurns && socket.isOpen();
    try {
      const answer = await (bySocket ? socket.send(message) : post("/v1/chat", body));
      showStatus();
      return answer;
    } catch (error) {
      showTyping(false);
      if (bySocket && !(error instanceof Refusal)) {
        // Its answer may be lost: the same id by POST gets it.
        useSocket = false;
        continue;
      }
      await refused(error, tries);
      tries += 1;
    }
  }
  return null;
}

// Waits as the refusal demands.
async function refused(error, tries) {
  if (!(error instanceof Refusal)) {
    await (navigator.onLine === false ? online() : waitFor(pause(tries), "lost"));
    return;
  }
  const { status, problem, wait } = error;
  if (status === 401) {
    await askForKey(memory.key ? "key_wrong" : "key_needed");
  } else if (status === 429) {
    await waitFor(Math.max(wait * 1000, pause(tries)), "limited");
  } else if (status === 422 && problem.code === "BOT-6124" && keepsTurns) {
    // A server that keeps no conversations takes no ids of messages.
    keepsTurns = false;
  } else if ([408, 502, 503, 504].includes(status)) {
    await waitFor(Math.max(wait * 1000, pause(tries)), "busy");
  } else if ((status >= 500 || problem.code === "BOT-6122") && tries < FEW_TRIES) {
    await waitFor(pause(tries), "busy");
  } else {
    throw error;
  }
}

// Sends the waiting turns, one after the other.
let isPumping = false;
async function pump() {
  if (isPumping) return;
  isPumping = true;
  try {
    for (let turn; (turn = memory.state.turns.find((it) => it.state === "waiting")); ) {
      const isWanted = () => memory.state.turns.includes(turn) && turn.state === "waiting";
      try {
        const answer = await deliver(turn, isWanted);
        if (answer && isWanted()) takeAnswer(turn.id, answer);
      } catch (error) {
        if (isWanted()) takeFailure(turn, error);
      }
      showTyping(false);
    }
    showStatus();
  } finally {
    isPumping = false;
  }
}

// Sends the reader's opinion of an answer; a few tries.
async function judge(token, correct) {
  for (let tries = 1; ; tries += 1) {
    try {
      await online();
      return await post("/v1/feedback", { token, correct });
    } catch (error) {
      const isFinal = error instanceof Refusal && error.status < 500 && ![401, 408, 429].includes(error.status);
      if (isFinal || tries >= FEW_TRIES) throw error;
      if (error.status === 401) await askForKey(memory.key ? "key_wrong" : "key_needed");
      else await new Promise((resolve) => setTimeout(resolve, Math.max((error.wait || 0) * 1000, pause(tries))));
    }
  }
}
