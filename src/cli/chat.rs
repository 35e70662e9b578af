//! `botops chat`.

mod arguments;
mod local_bot;
mod message;
mod remote_bot;
mod turn;

pub(crate) use self::arguments::Args;

use self::{local_bot::LocalBot, message::Message, remote_bot::RemoteBot, turn::Turn};
use super::{Outcome, Printer};
use crate::cli::{
    arguments::model_arg,
    session::{context::Context, input_lines::InputLines},
};
use botops_findings::{Fault, Result};
use botops_text::shell_line;
use serde::Serialize;
use std::io::{self, IsTerminal as _, Read};

/// The other side of the conversation.
enum Bot {
    Local(Box<LocalBot>),
    Remote(Box<RemoteBot>),
}

#[derive(Serialize)]
struct Answer {
    bot: String,
    conversation: String,
    turns: Vec<Turn>,
}

impl Bot {
    /// Returns its name: that of the model, or the address of the server.
    fn name(&self) -> &str {
        match self {
            Self::Local(bot) => bot.name(),
            Self::Remote(bot) => bot.name(),
        }
    }

    fn conversation(&self) -> &str {
        match self {
            Self::Local(bot) => bot.conversation(),
            Self::Remote(bot) => bot.conversation(),
        }
    }

    /// Begins a new conversation.
    fn restart(&mut self) {
        match self {
            Self::Local(bot) => bot.restart(),
            Self::Remote(bot) => bot.restart(),
        }
    }

    fn answer(&mut self, message: &Message<'_>, context: &Context) -> Result<Turn> {
        match self {
            Self::Local(bot) => bot.answer(message),
            Self::Remote(bot) => context.wait(bot.answer(message))?,
        }
    }
}

/// The next step of the person.
enum Input {
    Message(String),
    Restart,
    Explain,
    Quit,
}

pub(crate) fn run(args: &Args, context: &Context) -> Result<Outcome> {
    let (model, reads_lines) = split(args)?;
    let bot = match &args.url {
        Some(url) => Bot::Remote(Box::new(RemoteBot::open(args, url, context)?)),
        None => {
            let found = model_arg::load_or_champion(context, model)?;
            Bot::Local(Box::new(LocalBot::open(args, found, context)?))
        }
    };
    let is_typed = !reads_lines && io::stdin().is_terminal() && !context.printer.is_json();
    let mut talk = Talk {
        bot,
        context,
        is_typed,
        explains: args.explain,
        turns: Vec::new(),
        lines: InputLines::of(io::stdin().lock()),
    };
    if is_typed {
        let name = talk.bot.name();
        context.printer.say(&format!(
            "{name}; /restart begins anew, /explain shows or hides how a message was understood, /quit ends"
        ));
    }
    talk.until_end()?;
    let Talk { bot, turns, .. } = talk;
    let (name, conversation) = (bot.name().to_owned(), bot.conversation().to_owned());
    Ok(Outcome::done(&Answer { bot: name, conversation, turns }, ""))
}

/// Returns the model and whether messages are read as lines.
///
/// # Errors
/// `BOT-1003` (exit 2) two models, or a model and a server.
fn split(args: &Args) -> Result<(Option<&str>, bool)> {
    let models: Vec<&str> = args.words.iter().map(String::as_str).filter(|it| *it != "-").collect();
    let reads_lines = models.len() < args.words.len();
    match (models.as_slice(), &args.url) {
        ([], _) => Ok((None, reads_lines)),
        ([model], None) => Ok((Some(model), reads_lines)),
        ([model], Some(url)) => {
            let message = format!("`{model}` cannot be combined with `--url {url}`");
            Err(Fault::usage("BOT-1003", message)
                .hint("a server answers with the models that it serves"))
        }
        ([model, text, ..], _) => {
            let chat = shell_line(["botops", "chat", model]);
            let message = format!("`{text}` is not a second model");
            Err(Fault::usage("BOT-1003", message)
                .hint(format!("write messages after the start: `{chat}`"))
                .hint(format!("or pipe them: `echo {} | {chat}`", shell_line([*text]))))
        }
    }
}

/// A conversation under way.
struct Talk<'a, R> {
    bot: Bot,
    context: &'a Context,
    /// Whether a person types at a terminal.
    is_typed: bool,
    explains: bool,
    turns: Vec<Turn>,
    lines: InputLines<R>,
}

impl<R: Read> Talk<'_, R> {
    /// Answers messages until the input ends, the person quits, or nobody reads the answers.
    ///
    /// # Errors
    /// Those of the input. Those of a message end a script, and are shown to a person, who goes on.
    fn until_end(&mut self) -> Result<()> {
        loop {
            let text = match self.next()? {
                Input::Quit => return Ok(()),
                Input::Restart => {
                    self.bot.restart();
                    if self.is_typed {
                        self.context.printer.say("a new conversation");
                    }
                    continue;
                }
                Input::Explain => {
                    self.explains = !self.explains;
                    continue;
                }
                Input::Message(text) => text,
            };
            let pressed = self.pressed(&text);
            let message = match &pressed {
                Some((title, payload)) => Message { text: title, button: Some(payload) },
                None => Message { text: &text, button: None },
            };
            match self.bot.answer(&message, self.context) {
                Ok(turn) => {
                    let goes_on = self.show(&turn)?;
                    self.turns.push(turn);
                    if !goes_on {
                        return Ok(());
                    }
                }
                Err(fault) if self.is_typed => self.context.printer.fault("chat", &fault),
                Err(fault) => return Err(fault),
            }
        }
    }

    /// Reads the next step. Blank lines are skipped.
    fn next(&mut self) -> Result<Input> {
        loop {
            if self.is_typed {
                self.context.printer.prompt("> ");
            }
            let Some(line) = self.lines.next()? else {
                if self.is_typed {
                    self.context.printer.prompt("\n");
                }
                return Ok(Input::Quit);
            };
            return Ok(match line.trim() {
                "" => continue,
                "/quit" | "/exit" => Input::Quit,
                "/restart" => Input::Restart,
                "/explain" => Input::Explain,
                text => Input::Message(text.to_owned()),
            });
        }
    }

    /// Returns title and payload of the button whose number `text` is, if the last answer has it.
    fn pressed(&self, text: &str) -> Option<(String, String)> {
        let number: usize = text.parse().ok()?;
        let button = self.turns.last()?.buttons.get(number.checked_sub(1)?)?;
        Some((button.title.clone(), button.payload.clone()))
    }

    /// Prints a turn; returns whether more can be printed, which a closed pipe prevents.
    fn show(&self, turn: &Turn) -> Result<bool> {
        let printer: &Printer = &self.context.printer;
        if printer.is_json() {
            return Ok(true);
        }
        match printer.part(&turn.shown(!self.is_typed, self.explains)) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(false),
            Err(error) => {
                let message = format!("the answer cannot be written: {error}");
                Err(Fault::internal("BOT-1008", message))
            }
        }
    }
}
