
// The page as it is seen. Texts of others are only ever set as text.
const at = (id) => document.getElementById(id);

function make(tag, className, text) {
  const element = document.createElement(tag);
  if (className) element.className = className;
  if (text !== undefined) element.textContent = text;
  return element;
}

function showTexts() {
  const language = memory.shownLanguage();
  document.documentElement.lang = language;
  document.title = say("title");
  for (const element of document.querySelectorAll("[data-text]")) element.textContent = say(element.dataset.text);
  for (const element of document.querySelectorAll("[data-label]")) label(element, say(element.dataset.label));
  for (const button of document.querySelectorAll("[data-language]")) {
    button.setAttribute("aria-pressed", button.dataset.language === language);
  }
  showStatus(status);
  // Old messages are not news: a screen reader does not read them again.
  at("log").setAttribute("aria-live", "off");
  at("messages").replaceChildren();
  memory.state.turns.forEach(showTurn);
  setTimeout(() => at("log").setAttribute("aria-live", "polite"), 500);
}

function label(element, text) {
  element.setAttribute("aria-label", text);
}

let status = null;
function showStatus(name = null) {
  status = name;
  const text = name ? say(name) : "";
  if (at("status").textContent !== text) at("status").textContent = text;
}

// Shows the seconds until the next try. Screen readers are told once that there is one.
function showCountdown(seconds) {
  at("countdown").textContent = seconds ? `${seconds} s` : "";
  at("again").hidden = !seconds;
}

function showTyping(isTyping) {
  at("typing").hidden = !isTyping;
  if (isTyping) scrollDown();
}

function scrollDown() {
  at("log").scrollTop = at("log").scrollHeight;
}

// Shows a turn: the message, and its answer once there is one. A turn that is shown already is shown as it is now.
function showTurn(turn) {
  const message = itemOf(turn, "user"), answer = itemOf(turn, "bot");
  if (message && turn.state === "done") message.querySelector(".note")?.remove();
  else showMessage(turn, newItem(turn, "user", message));
  if (turn.answer && (!answer || isPartial(answer))) showAnswer(turn, newItem(turn, "bot", answer));
  else if (turn.state === "failed") dropSentences(turn);
  scrollDown();
}

// Shows a sentence of an answer that is being written. Screen readers are told the whole answer only.
function showSentence(turn, text) {
  if (!itemOf(turn, "user")) return;
  let item = itemOf(turn, "bot");
  if (!item) {
    item = newItem(turn, "bot");
    item.dataset.partial = "true";
    item.setAttribute("aria-hidden", "true");
    item.append(make("p", "body", ""));
  }
  if (!isPartial(item)) return;
  const body = item.querySelector(".body");
  body.textContent = body.textContent ? `${body.textContent} ${text}` : text;
  scrollDown();
}

function isPartial(item) {
  return item.dataset.partial !== undefined;
}

// Removes the sentences of an answer that is not complete.
function dropSentences(turn) {
  const item = itemOf(turn, "bot");
  if (item && isPartial(item)) item.remove();
}

function itemOf(turn, side) {
  return at("messages").querySelector(`[data-turn="${turn.id}"].${side}`);
}

// Makes the item of a side of a turn, in the place of the one before it, or else at the end; an answer follows its message.
function newItem(turn, side, before) {
  const item = make("li", side);
  item.dataset.turn = turn.id;
  item.append(make("span", "unseen", say(side === "user" ? "you" : "bot")));
  if (before) before.replaceWith(item);
  else if (side === "bot") itemOf(turn, "user").after(item);
  else at("messages").append(item);
  return item;
}

function showMessage(turn, item) {
  item.append(make("p", "body", turn.text));
  if (turn.state === "waiting") item.append(make("p", "note", say("waiting")));
  if (turn.state !== "failed") return;
  const why = turn.problem.value === undefined ? say(turn.problem.name) : say(turn.problem.name, turn.problem.value);
  item.append(make("p", "note problem", `${say("unsent")} ${why}`));
  const row = make("div", "choices"), again = make("button", "resend", say("resend"));
  again.type = "button";
  again.onclick = () => resend(turn);
  row.append(again);
  item.append(row);
}

function showAnswer(turn, item) {
  const { answer } = turn;
  const text = typeof answer.response === "string" ? answer.response : say("no_answer");
  const body = make("p", "body", text);
  if (typeof answer.response === "string" && typeof answer.language === "string") body.lang = answer.language;
  item.append(body);
  if (answer.state === "handed_off") item.append(make("p", "note", say("person")));
  showSources(answer.sources, item);
  const isLast = memory.state.turns.at(-1) === turn;
  if (Array.isArray(answer.buttons) && answer.buttons.length) showButtons(answer, item, isLast);
  if (answer.feedback_token && !answer.fallback) showJudgement(turn, item);
}

// The documents that an answer is from: {title, section, page, url, quote}. Only web addresses become links.
const MOST_SOURCES = 20;
function showSources(sources, item) {
  if (!Array.isArray(sources) || !sources.length) return;
  const heading = make("p", "note", say("sources")), list = make("ul", "sources");
  heading.id = `sources-${item.dataset.turn}`;
  list.setAttribute("aria-labelledby", heading.id);
  item.append(heading);
  for (const source of sources.slice(0, MOST_SOURCES)) {
    const title = String(source?.title ?? source?.document ?? source?.url ?? source);
    const entry = make("li"), url = String(source?.url ?? "");
    if (/^https?:\/\//i.test(url)) {
      const link = make("a", "", title);
      [link.href, link.rel, link.target] = [url, "noopener noreferrer", "_blank"];
      entry.append(link);
    } else {
      entry.textContent = title;
    }
    const place = [source?.section, source?.page ? say("page", source.page) : ""].filter((it) => it);
    if (place.length) entry.append(make("span", "place", ` (${place.join(", ")})`));
    list.append(entry);
  }
  item.append(list);
}

// Buttons answer the last message only: an older one was answered by what followed.
function showButtons(answer, item, isLast) {
  const row = make("div", "choices");
  row.setAttribute("role", "group");
  label(row, say("choices"));
  for (const { title, payload } of answer.buttons) {
    const button = make("button", "choice", String(title));
    button.type = "button";
    button.disabled = !isLast;
    button.onclick = () => {
      sendMessage(String(title), String(payload ?? title));
      at("text").focus();
    };
    row.append(button);
  }
  item.append(row);
}

function showJudgement(turn, item) {
  const row = make("div", "choices judge"), question = make("span", "", say("judge"));
  question.id = `judge-${turn.id}`;
  row.setAttribute("role", "group");
  row.setAttribute("aria-labelledby", question.id);
  row.append(question);
  for (const [name, correct] of [["right", true], ["wrong", false]]) {
    const button = make("button", name, say(name));
    button.type = "button";
    button.setAttribute("aria-pressed", turn.verdict === correct);
    button.onclick = () => giveVerdict(turn, correct);
    row.append(button);
  }
  const said = turn.verdict === undefined ? (turn.judgeFailed ? "unjudged" : null) : "thanks";
  const note = make("span", "said", said ? say(said) : "");
  note.setAttribute("role", "status");
  row.append(note);
  item.append(row);
}

// Asks for an access key. Returns when one was given.
let keyGiven = null;
function askForKey(why) {
  showStatus(why);
  at("key-form").hidden = false;
  at("key").value = "";
  scrollDown();
  at("key").focus();
  if (!keyGiven) {
    keyGiven = {};
    keyGiven.promise = new Promise((resolve) => { keyGiven.resolve = resolve; });
  }
  return keyGiven.promise;
}
