// The chat page of a botops server on a page of another site: a button, and the page in a frame behind it.
//
//   <script src="https://bots.example.com/widget.js" data-language="fr" defer></script>
//
// The browser shows the frame only on sites that the server lists. Nothing of this site reaches the frame, and nothing of
// the conversation reaches this site.
(() => {
  const script = document.currentScript;
  if (!script || document.getElementById("botops-widget")) return;
  const place = new URL(".", script.src);
  const texts = {
    en: { open: "Open the chat", close: "Close the chat", title: "Chat" },
    fr: { open: "Ouvrir la discussion", close: "Fermer la discussion", title: "Discussion" },
  };
  const wanted = script.dataset.language || document.documentElement.lang || navigator.language || "en";
  const language = wanted.slice(0, 2).toLowerCase() in texts ? wanted.slice(0, 2).toLowerCase() : "en";
  const text = texts[language];

  const host = document.createElement("aside");
  host.id = "botops-widget";
  host.setAttribute("aria-label", text.title);
  const root = host.attachShadow({ mode: "open" });
  const sheet = new CSSStyleSheet();
  sheet.replaceSync(`
    :host { all: initial; position: fixed; right: 1rem; bottom: 1rem; z-index: 2147483000; font: 1rem/1.5 system-ui, sans-serif; }
    button { float: right; min-height: 3rem; padding: .5rem 1.25rem; border: 2px solid #ffffff; border-radius: 1.5rem;
      background: #0b4f8a; color: #ffffff; font: inherit; cursor: pointer; }
    button:focus-visible { outline: 3px solid #b35900; outline-offset: 2px; }
    iframe { display: block; width: min(25rem, calc(100vw - 2rem)); height: min(40rem, calc(100vh - 7rem));
      margin: 0 0 .75rem; border: 1px solid #8a939e; border-radius: .75rem; background: Canvas; }
    [hidden] { display: none; }
  `);
  root.adoptedStyleSheets = [sheet];
  const button = document.createElement("button");
  button.type = "button";
  let frame = null;

  const show = (isOpen) => {
    if (isOpen && !frame) {
      frame = document.createElement("iframe");
      frame.title = text.title;
      frame.src = new URL(`?language=${language}`, place).href;
      frame.referrerPolicy = "no-referrer";
      frame.setAttribute("sandbox", "allow-scripts allow-same-origin allow-forms allow-popups");
      root.prepend(frame);
    }
    if (frame) frame.hidden = !isOpen;
    button.setAttribute("aria-expanded", String(isOpen));
    button.textContent = isOpen ? text.close : text.open;
    if (isOpen) frame.focus();
    else if (frame) button.focus();
  };
  button.onclick = () => show(button.getAttribute("aria-expanded") !== "true");
  host.addEventListener("keydown", (event) => { if (event.key === "Escape" && frame) show(false); });
  // Escape within the frame: the page there asks to be closed.
  addEventListener("message", (event) => {
    if (frame && event.source === frame.contentWindow && event.origin === place.origin && event.data === "botops.close") show(false);
  });
  show(false);
  root.append(button);
  const add = () => document.body.append(host);
  if (document.body) add();
  else addEventListener("DOMContentLoaded", add);
})();
