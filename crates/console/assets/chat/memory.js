
// What the page remembers: the conversation, in the session storage of its tab. The access key is kept here and nowhere else.
const KEPT = "botops.chat", MOST_TURNS = 200;

function newId() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

const memory = {
  key: null,
  // `language`: chosen by the reader, or null. `number`: that of the last answer, or -1: later ones come
  // again over the socket.
  // A turn: {id, text, state: "waiting" | "done" | "failed", problem, answer, verdict}; `button` if one was pressed.
  state: { conversation: newId(), language: null, number: -1, turns: [] },

  read() {
    try {
      const kept = JSON.parse(sessionStorage.getItem(KEPT));
      if (kept && typeof kept.conversation === "string" && Array.isArray(kept.turns)) Object.assign(this.state, kept);
    } catch { /* A storage that is closed or damaged: the conversation begins anew. */ }
  },

  write() {
    const { turns } = this.state;
    turns.splice(0, Math.max(0, turns.length - MOST_TURNS));
    try {
      sessionStorage.setItem(KEPT, JSON.stringify(this.state));
    } catch { /* Full or closed: the page works, and a reload begins anew. */ }
  },

  restart() {
    this.state = { conversation: newId(), language: this.state.language, number: -1, turns: [] };
    this.write();
  },

  // The language of the page: the chosen one, or else that of the page around it, or else the first of the browser's that it
  // speaks.
  shownLanguage() {
    const around = new URLSearchParams(location.search).get("language");
    for (const language of [this.state.language, around]) {
      if (Object.hasOwn(TEXTS, language ?? "")) return language;
    }
    const known = (navigator.languages ?? []).map((tag) => tag.slice(0, 2).toLowerCase());
    return known.find((tag) => tag in TEXTS) ?? "en";
  },
};
