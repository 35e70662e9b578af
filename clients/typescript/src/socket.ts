import { newId, pauseAfter, type Retries } from "./retries.js";
import { type Answer, ApiError, BotopsError, Unreachable } from "./types.js";

export interface SocketOptions {
  conversationId?: string;
  userId?: string;
  language?: string;
  /** The number of the last answer that is known: later ones are sent again. -1 for all. */
  resumeFrom?: number;
  /** Takes answers that were not asked for here: those after `resumeFrom`. */
  onAnswer?: (answer: Answer, messageId: string | undefined, number: number | undefined) => void;
  /**
   * Takes the sentences of an answer that a language model writes, each once the documents support it. The answer follows and
   * replaces them.
   */
  onSentence?: (text: string, messageId: string | undefined) => void;
}

interface Waiting {
  frame: string;
  resolve: (answer: Answer) => void;
  reject: (error: Error) => void;
}

interface Frame {
  type: string;
  message_id?: string;
  number?: number | null;
  status?: number;
  retry_after?: number;
  text?: string;
}

/** A conversation over a WebSocket. It connects again when it is lost, and sends what was not answered. */
export class ChatSocket {
  readonly conversationId: string;
  private link: WebSocket | null = null;
  private isReady = false;
  private isClosed = false;
  private failures = 0;
  private number: number | undefined;
  private timer: ReturnType<typeof setTimeout> | undefined;
  private readonly waiting = new Map<string, Waiting>();

  /** For {@link BotopsClient.connect}. */
  constructor(
    private readonly url: string,
    private readonly protocols: string[],
    private readonly retries: Retries,
    private readonly options: SocketOptions,
  ) {
    this.conversationId = options.conversationId ?? newId();
    this.number = options.resumeFrom;
    this.open();
  }

  /** Sends a message; resolves with its answer. */
  send(text: string, options: { button?: string; messageId?: string } = {}): Promise<Answer> {
    if (this.isClosed) return Promise.reject(new BotopsError("the socket is closed"));
    const id = options.messageId ?? newId();
    const frame = JSON.stringify({
      type: "message",
      message_id: id,
      text,
      language: this.options.language,
      button: options.button,
    });
    return new Promise((resolve, reject) => {
      this.waiting.set(id, { frame, resolve, reject });
      if (this.isReady) this.link?.send(frame);
    });
  }

  /** Closes the socket. Messages without an answer are rejected. */
  close(): void {
    this.isClosed = true;
    clearTimeout(this.timer);
    this.link?.close(1000);
    this.rejectAll(new BotopsError("the socket is closed"));
  }

  private open(): void {
    const link = new WebSocket(this.url, this.protocols);
    this.link = link;
    link.onopen = () => {
      link.send(
        JSON.stringify({
          type: "hello",
          conversation_id: this.conversationId,
          user_id: this.options.userId,
          resume_from: this.number,
          // Servers that do not know the key refuse it, so it is sent only if it is wanted.
          sentences: this.options.onSentence ? true : undefined,
        }),
      );
    };
    link.onmessage = (event) => this.read(String(event.data));
    link.onclose = () => {
      if (this.link === link) this.lost();
    };
    // Not every platform reports `close` after a connection that was never made.
    link.onerror = () => {
      if (this.link === link && link.readyState !== WebSocket.OPEN) this.lost();
    };
  }

  private read(text: string): void {
    const frame = JSON.parse(text) as Frame;
    if (frame.type === "ready") {
      [this.isReady, this.failures] = [true, 0];
      if (this.number === undefined) this.number = frame.number ?? -1;
      for (const { frame: sent } of this.waiting.values()) this.link?.send(sent);
      return;
    }
    const { message_id: id, number, ...rest } = frame;
    const known = id === undefined ? undefined : this.waiting.get(id);
    if (frame.type === "answer") {
      if (typeof number === "number") this.number = Math.max(number, this.number ?? -1);
      const { type: _, ...answer } = rest;
      if (known && id !== undefined) {
        this.waiting.delete(id);
        known.resolve(answer as unknown as Answer);
      } else {
        this.options.onAnswer?.(answer as unknown as Answer, id, number ?? undefined);
      }
    } else if (frame.type === "sentence") {
      if (known) this.options.onSentence?.(frame.text ?? "", id);
    } else if (frame.type === "error") {
      const error = new ApiError(frame.status ?? 0, rest, frame.retry_after ?? 0, null);
      if (known && id !== undefined) {
        this.waiting.delete(id);
        known.reject(error);
      } else {
        // It is about the socket: nothing that waits on it will be answered.
        this.rejectAll(error);
      }
    }
  }

  private lost(): void {
    [this.link, this.isReady] = [null, false];
    if (this.isClosed) return;
    this.failures += 1;
    const pause = pauseAfter(this.retries, this.failures, null);
    if (pause === null) {
      this.isClosed = true;
      this.rejectAll(new Unreachable(`${this.url} did not answer after ${this.failures} tries`));
      return;
    }
    this.timer = setTimeout(() => this.open(), pause);
  }

  private rejectAll(error: Error): void {
    for (const { reject } of this.waiting.values()) reject(error);
    this.waiting.clear();
  }
}
