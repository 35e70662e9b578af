
// The conversation: messages go in, answers come out.
function sendMessage(text, button) {
  const turn = { id: newId(), text, state: "waiting" };
  if (button !== undefined) turn.button = button;
  memory.state.turns.push(turn);
  memory.write();
  for (const choice of document.querySelectorAll(".choice")) choice.disabled = true;
  showTurn(turn);
  pump();
}

function takeAnswer(id, answer) {
  const number = answer.number ?? answer.message_number;
  if (number > memory.state.number) memory.state.number = number;
  const turn = memory.state.turns.find((it) => it.id === id);
  if (!turn || turn.answer) return;
  const { response, language, fallback, feedback_token, buttons, sources, state } = answer;
  turn.answer = { response, language, fallback, feedback_token, buttons, sources, state };
  turn.state = "done";
  memory.write();
  showTurn(turn);
}

// A sentence of an answer that is being written; the answer takes the place of all of them.
function takeSentence(id, text) {
  const turn = memory.state.turns.find((it) => it.id === id);
  if (turn && turn.state === "waiting" && !turn.answer && typeof text === "string") showSentence(turn, text);
}

function takeFailure(turn, error) {
  const names = { 403: "forbidden", 413: "too_long" };
  const isLong = error.problem?.code === "BOT-6015";
  const name = isLong ? "too_long" : names[error.status] ?? (error.status >= 500 ? "failed" : "refused");
  turn.state = "failed";
  turn.problem = name === "refused" ? { name, value: error.message } : { name };
  memory.write();
  showTurn(turn);
}

function resend(turn) {
  [turn.state, turn.problem] = ["waiting", undefined];
  memory.write();
  showTurn(turn);
  at("text").focus();
  pump();
}

async function giveVerdict(turn, correct) {
  if (turn.verdict === correct) return;
  const before = turn.verdict;
  const show = (verdict, judgeFailed) => {
    const held = document.activeElement?.className;
    Object.assign(turn, { verdict, judgeFailed });
    memory.write();
    const item = at("messages").querySelector(`[data-turn="${turn.id}"].bot`);
    if (!item) return;
    const focused = item.contains(document.activeElement);
    item.querySelector(".judge").remove();
    showJudgement(turn, item);
    if (focused) item.querySelector(`.judge .${held}`)?.focus();
  };
  show(correct, false);
  try {
    await judge(turn.answer.feedback_token, correct);
  } catch {
    show(before, true);
  }
}

at("form").onsubmit = (event) => {
  event.preventDefault();
  const text = at("text").value.trim();
  if (!text) return;
  at("text").value = "";
  sendMessage(text);
  at("text").focus();
};

at("text").onkeydown = (event) => {
  if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  at("form").requestSubmit();
};

at("key-form").onsubmit = (event) => {
  event.preventDefault();
  memory.key = at("key").value.trim();
  if (!memory.key) return;
  at("key").value = "";
  at("key-form").hidden = true;
  showStatus();
  const given = keyGiven;
  keyGiven = null;
  given?.resolve();
  socket.close();
  socket.open();
  at("text").focus();
};

at("again").onclick = () => {
  wake();
  at("text").focus();
};

at("restart").onclick = () => {
  memory.restart();
  wake();
  showStatus();
  socket.close();
  socket.open();
  showTexts();
  at("text").focus();
};

for (const button of document.querySelectorAll("[data-language]")) {
  button.onclick = () => {
    memory.state.language = button.dataset.language;
    memory.write();
    showTexts();
  };
}

// In the frame of a widget, Escape closes it. This tells nothing about the conversation.
if (parent !== self) {
  addEventListener("keydown", (event) => {
    if (event.key === "Escape") parent.postMessage("botops.close", "*");
  });
}

addEventListener("online", () => {
  wake();
  socket.failures = 0;
  socket.open();
});
addEventListener("offline", () => showStatus("offline"));

memory.read();
memory.write();
showTexts();
socket.open();
pump();
