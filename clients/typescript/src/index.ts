import { newId, pauseAfter, type Retries, sleep } from "./retries.js";
import { ChatSocket, type SocketOptions } from "./socket.js";
import { type Answer, ApiError, BotopsError, type Passage, type Prediction, type Problem, Unreachable, type Verdict } from "./types.js";

export * from "./types.js";
export { ChatSocket, type SocketOptions } from "./socket.js";

export interface ClientOptions {
  /** An API key, if the server needs one. */
  key?: string;
  /** The longest time of one try, in milliseconds (30 s). */
  timeout?: number;
  /** How often a request is tried again while the server is busy or away (4). */
  retries?: number;
  /** The longest pause between two tries, in milliseconds (30 s). */
  longestPause?: number;
  /** Replaces `fetch`, for tests. */
  fetch?: typeof fetch;
}

export interface ChatOptions {
  conversationId?: string;
  messageId?: string;
  userId?: string;
  language?: string;
  /** The payload of the button that was pressed. */
  button?: string;
  /** Whether documents may answer; true by default. */
  useKnowledge?: boolean;
  /** The metadata of the documents that may answer, such as `{product: "vacuum"}`. */
  metadata?: Record<string, string | string[]>;
}

export interface SearchOptions {
  /** The knowledge base; every one without it. */
  knowledge?: string;
  /** The most passages of each base, from 1 to 50 (5). */
  k?: number;
  /** The scores that passages are ranked by (`hybrid`, which is `lexical` in a base without vectors). */
  mode?: "lexical" | "dense" | "hybrid";
  /** The metadata of the documents, such as `{product: "vacuum"}`. */
  metadata?: Record<string, string | string[]>;
  conversationId?: string;
}

/** A client of the public API of a botops server. */
export class BotopsClient {
  readonly url: string;
  readonly #key: string | undefined;
  readonly #timeout: number;
  readonly #retries: Retries;
  readonly #fetch: typeof fetch;

  constructor(url: string, options: ClientOptions = {}) {
    if (!/^https?:\/\//.test(url)) {
      throw new BotopsError(`${url} is not the address of a server: it begins with http:// or https://`);
    }
    if (options.key !== undefined && !/^[\x21-\x7e]+$/.test(options.key)) {
      // The key itself is not shown.
      throw new BotopsError("the key is empty, or has characters that no key has");
    }
    this.url = url.replace(/\/+$/, "");
    this.#key = options.key;
    this.#timeout = options.timeout ?? 30_000;
    this.#retries = { most: options.retries ?? 4, longestPause: options.longestPause ?? 30_000 };
    this.#fetch = options.fetch ?? ((...request) => fetch(...request));
  }

  /** Sends one message. In a conversation it gets an id, so it is answered once even if it has to be sent again. */
  async chat(text: string, options: ChatOptions = {}): Promise<Answer> {
    const { conversationId, userId, language, button, useKnowledge, metadata } = options;
    const messageId = options.messageId ?? (conversationId === undefined ? undefined : newId());
    const body = {
      text, conversation_id: conversationId, message_id: messageId, user_id: userId, language, button,
      use_knowledge: useKnowledge, metadata,
    };
    return (await this.#ask("POST", "/v1/chat", body)) as Answer;
  }

  /** Begins a conversation, or goes on with the one called `id`. */
  conversation(options: { id?: string; userId?: string; language?: string } = {}): Conversation {
    const { id, ...rest } = options;
    return new Conversation(this, id ?? newId(), rest);
  }

  /** Classifies texts, in batches; returns one prediction for each, in their order. */
  async predict(texts: readonly string[], options: { topK?: number; batchSize?: number } = {}): Promise<Prediction[]> {
    const size = options.batchSize ?? 256;
    if (!(size >= 1)) throw new BotopsError("batchSize must be at least 1");
    const found: Prediction[] = [];
    for (let at = 0; at < texts.length; at += size) {
      const body = { texts: texts.slice(at, at + size), top_k: options.topK };
      const answer = (await this.#ask("POST", "/v1/predict", body)) as { predictions: Prediction[] };
      found.push(...answer.predictions);
    }
    return found;
  }

  /** Returns the passages of documents that fit a question, best first in each knowledge base. The key needs the scope `search`. */
  async search(query: string, options: SearchOptions = {}): Promise<Passage[]> {
    const { conversationId, ...rest } = options;
    const body = { query, ...rest, conversation_id: conversationId };
    return ((await this.#ask("POST", "/v1/search", body)) as { passages: Passage[] }).passages;
  }

  /** Judges the answer behind `token`. Returns `counted`, `noted` or `unknown`. */
  async feedback(token: string, verdict: Verdict): Promise<string> {
    const answer = (await this.#ask("POST", "/v1/feedback", { token, ...verdict })) as { outcome: string };
    return answer.outcome;
  }

  /** Returns `ready` or `degraded`; a server that cannot answer is an {@link ApiError}. */
  async readiness(): Promise<string> {
    return ((await this.#ask("GET", "/readiness")) as { status: string }).status;
  }

  /** Opens a WebSocket for one conversation. */
  connect(options: SocketOptions = {}): ChatSocket {
    const protocols = ["botops.v1"];
    if (this.#key !== undefined) protocols.push(`botops.bearer.${this.#key}`);
    return new ChatSocket(`${this.url.replace(/^http/, "ws")}/v1/ws`, protocols, this.#retries, options);
  }

  async #ask(method: string, path: string, body?: object): Promise<unknown> {
    for (let tries = 1; ; tries += 1) {
      try {
        return await this.#once(method, path, body);
      } catch (error) {
        if (error instanceof BotopsError && !(error instanceof ApiError)) throw error;
        const pause = pauseAfter(this.#retries, tries, error);
        if (pause === null) {
          if (error instanceof ApiError) throw error;
          throw new Unreachable(`${this.url} did not answer after ${tries} tries: ${String(error)}`, { cause: error });
        }
        await sleep(pause);
      }
    }
  }

  async #once(method: string, path: string, body?: object): Promise<unknown> {
    const headers: Record<string, string> = { accept: "application/json" };
    if (body) headers["content-type"] = "application/json";
    if (this.#key !== undefined) headers["authorization"] = `Bearer ${this.#key}`;
    const request: RequestInit = { method, headers, redirect: "error", signal: AbortSignal.timeout(this.#timeout) };
    if (body) request.body = JSON.stringify(body);
    const response = await this.#fetch(this.url + path, request);
    const text = await response.text();
    let document: unknown;
    try {
      document = JSON.parse(text);
    } catch {
      document = null;
    }
    const isObject = typeof document === "object" && document !== null && !Array.isArray(document);
    if (response.ok) {
      if (!isObject) throw new BotopsError(`${path} answered ${response.status} without a JSON object`);
      return document;
    }
    const wait = Number(response.headers.get("retry-after"));
    const problem = isObject ? (document as Problem) : {};
    throw new ApiError(response.status, problem, wait > 0 ? wait : 0, response.headers.get("x-request-id"));
  }
}

/** A conversation: its messages share an id, a person and a language. */
export class Conversation {
  /** For {@link BotopsClient.conversation}. */
  constructor(
    private readonly client: BotopsClient,
    readonly id: string,
    private readonly options: { userId?: string; language?: string },
  ) {}

  /** Sends a message. `button` is the payload of the button that was pressed. */
  send(text: string, options: { button?: string; messageId?: string } = {}): Promise<Answer> {
    return this.client.chat(text, { ...this.options, ...options, conversationId: this.id });
  }

  /** Judges an answer. Returns `counted`, `noted` or `unknown`. */
  judge(answer: Answer, verdict: Verdict): Promise<string> {
    if (answer.feedback_token === undefined) {
      return Promise.reject(new BotopsError("the answer carries no feedback token"));
    }
    return this.client.feedback(answer.feedback_token, verdict);
  }
}
