import { ApiError } from "./types.js";

/** How often, and how long, a request is tried again. */
export interface Retries {
  /** The tries after the first. */
  most: number;
  /** The longest pause between two tries, in milliseconds. */
  longestPause: number;
}

const AGAIN = new Set([429, 502, 503, 504]);
const FIRST_PAUSE = 250;

/** Returns the pause after the `tries`-th try failed, in milliseconds; null if the failure stands. */
export function pauseAfter(retries: Retries, tries: number, error: unknown): number | null {
  if (tries > retries.most) return null;
  let asked = 0;
  if (error instanceof ApiError) {
    asked = error.retryAfter * 1000;
    const isAgain = AGAIN.has(error.status) || error.code === "BOT-6122";
    if (!isAgain || asked > retries.longestPause) return null;
  }
  const grown = Math.min(retries.longestPause, FIRST_PAUSE * 2 ** (tries - 1));
  return Math.max(asked, grown * (0.75 + Math.random() / 2));
}

export const sleep = (milliseconds: number): Promise<void> =>
  new Promise((resolve) => setTimeout(resolve, milliseconds));

/** Returns an id that nobody else has. */
export function newId(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
