
// The texts of the page, in each of its languages.
const TEXTS = {
  en: {
    title: "Chat", skip: "Skip to the message box", language: "Language", restart: "New conversation",
    conversation: "Conversation", typing: "The bot is typing", again: "Try now", key: "Access key", use_key: "Use this key",
    key_note: "The key stays in the memory of this page: it is gone when you close or reload it.",
    message: "Your message", send: "Send", enter: "Enter sends, Shift and Enter begin a new line.",
    you: "You said:", bot: "The bot said:", no_answer: "The bot has no answer to this.",
    choices: "Suggested answers", judge: "Was this right?", right: "Yes", wrong: "No", thanks: "Thank you.",
    unjudged: "Your opinion could not be sent.", waiting: "Waiting to be sent", unsent: "Not sent.", resend: "Send again",
    sources: "Sources", page: (number) => `page ${number}`, person: "A person takes over this conversation.",
    offline: "You are offline. Messages are sent when the connection is back.",
    lost: "The server cannot be reached. The page tries again.",
    busy: "The server is busy. The page tries again.",
    limited: "You sent many messages in a short time. The next one is sent in a moment.",
    key_needed: "This server needs an access key.", key_wrong: "The server does not accept this key.",
    forbidden: "This key may not do this.", too_long: "The message is too long.",
    refused: (why) => `The server refused the message: ${why}`,
    failed: "The server could not answer.",
  },
  fr: {
    title: "Discussion", skip: "Aller au champ du message", language: "Langue", restart: "Nouvelle conversation",
    conversation: "Conversation", typing: "Le robot écrit", again: "Réessayer", key: "Clé d’accès", use_key: "Utiliser cette clé",
    key_note: "La clé reste dans la mémoire de cette page : elle disparaît quand vous la fermez ou la rechargez.",
    message: "Votre message", send: "Envoyer", enter: "Entrée envoie, Maj et Entrée commencent une nouvelle ligne.",
    you: "Vous avez dit :", bot: "Le robot a dit :", no_answer: "Le robot n’a pas de réponse à cela.",
    choices: "Réponses proposées", judge: "Était-ce juste ?", right: "Oui", wrong: "Non", thanks: "Merci.",
    unjudged: "Votre avis n’a pas pu être envoyé.", waiting: "En attente d’envoi", unsent: "Non envoyé.", resend: "Renvoyer",
    sources: "Sources", page: (number) => `page ${number}`, person: "Une personne prend le relais dans cette conversation.",
    offline: "Vous êtes hors ligne. Les messages partiront au retour de la connexion.",
    lost: "Le serveur est injoignable. La page réessaie.",
    busy: "Le serveur est occupé. La page réessaie.",
    limited: "Vous avez envoyé beaucoup de messages en peu de temps. Le prochain part dans un instant.",
    key_needed: "Ce serveur demande une clé d’accès.", key_wrong: "Le serveur n’accepte pas cette clé.",
    forbidden: "Cette clé n’y donne pas droit.", too_long: "Le message est trop long.",
    refused: (why) => `Le serveur a refusé le message : ${why}`,
    failed: "Le serveur n’a pas pu répondre.",
  },
};

// Returns the text of that name in the language of the page; a text with a value is a function of it.
function say(name, value) {
  const text = TEXTS[memory.shownLanguage()][name];
  return typeof text === "function" ? text(value) : text;
}
