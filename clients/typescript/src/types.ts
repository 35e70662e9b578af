/** An entity in a message; `start` and `end` count code points. */
export interface Entity {
  entity: string;
  value: string;
  start: number;
  end: number;
  /** The normal form, such as `{"date": "2026-11-30"}`. */
  normalised?: unknown;
  role?: string;
  group?: string;
}

/** A suggested answer: send its title with its payload as `button`. */
export interface Button {
  title: string;
  payload: string;
}

/** A passage of a document that an answer was taken from. */
export interface Source {
  title: string;
  /** The headings above the passage, joined by ` > `. */
  section: string;
  /** The address of the document. It comes from the document: check its scheme, or use `safeUrl`, before you make a link of it. */
  url: string | null;
  /** The page, from 1, in formats that have pages. */
  page?: number;
  chunk: string;
  score: number;
  /** The words of the document, as they stand there. */
  quote: string;
}

/** A passage of a document that fits a question; `quote` is the whole passage. */
export interface Passage extends Source {
  /** The knowledge base. */
  knowledge: string;
  language: string | null;
}

/** Returns the address of a source if it is one of the web, else `null`: a document may name a script. */
export function safeUrl(source: Source): string | null {
  return source.url !== null && /^https?:\/\//i.test(source.url) ? source.url : null;
}

/** The answer to a message, as the server sends it. */
export interface Answer {
  request_id: string;
  intent: string;
  confidence: number;
  fallback: boolean;
  response: string | null;
  language: string | null;
  entities: Entity[];
  entities_cut?: boolean;
  buttons?: Button[];
  /** The passages of documents that the answer was taken from. */
  sources?: Source[];
  /** `knowledge` for a quote of a document, `generated` for an answer that a language model wrote from documents. */
  answered_by?: "knowledge" | "generated";
  slots?: Record<string, unknown>;
  state?: string;
  message_number?: number;
  feedback_token?: string;
  /** The version that answered; only for keys with the scope `read`, as the next two. */
  model?: string;
  digest?: string;
  arm?: string;
}

export interface Prediction {
  intent: string;
  confidence: number;
  fallback: boolean;
  prediction_set?: string[];
  scores?: { intent: string; confidence: number }[];
}

/** How content a user was, from 1 (not at all) to 5. */
export type Satisfaction = 1 | 2 | 3 | 4 | 5;

/** A verdict on an answer: the true intent, or whether the answer was right; and the satisfaction with it, which may stand alone. */
export type Verdict =
  | { intent: string; satisfaction?: Satisfaction }
  | { correct: boolean; satisfaction?: Satisfaction }
  | { satisfaction: Satisfaction };

export interface FieldError {
  /** A JSON pointer (RFC 6901). */
  pointer: string;
  message: string;
}

/** A problem document (RFC 9457). */
export interface Problem {
  type?: string;
  title?: string;
  status?: number;
  detail?: string;
  code?: string;
  hints?: string[];
  errors?: FieldError[];
}

export class BotopsError extends Error {
  override name = "BotopsError";
}

/** The server could not be reached, or its answer did not come in time. */
export class Unreachable extends BotopsError {
  override name = "Unreachable";
}

/** A refusal of the server. */
export class ApiError extends BotopsError {
  override name = "ApiError";
  readonly code: string;
  readonly detail: string;
  readonly hints: readonly string[];
  readonly errors: readonly FieldError[];

  constructor(
    readonly status: number,
    readonly problem: Problem,
    /** The seconds after which the server wants to be asked again, or 0. */
    readonly retryAfter: number,
    readonly requestId: string | null,
  ) {
    const code = problem.code ? ` (${problem.code})` : "";
    super(`HTTP ${status}${code}: ${problem.detail ?? problem.title ?? "no details"}`);
    this.code = problem.code ?? "";
    this.detail = problem.detail ?? "";
    this.hints = problem.hints ?? [];
    this.errors = problem.errors ?? [];
  }
}
