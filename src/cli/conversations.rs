//! `botops conversations`.

mod answers;
mod text;

use self::answers::{Forgotten, ListLine, Shown, TurnLine};
use super::Outcome;
use crate::cli::{
    arguments::{
        out_path::OutPath,
        output_args::{ForceArg, ReasonArg},
    },
    session::{context::Context, conversing, provenance},
    terminal::tables,
};
use botops_channels::{ErasedNames, forget_messages, messages_under_other_keys};
use botops_conversations::{
    Conversations, DataKeys, ErasureAct, Found, Names, StoredTurn, Subject, Summary,
};
use botops_files::{Output, OutputKind};
use botops_findings::{Fault, Result};
use botops_registry::check_author;
use botops_text::{display, shell_line};
use chrono::{DateTime, Utc};
use clap::Subcommand;
use serde::Serialize;
use serde_json::Value;

/// The turns that are read at a time.
const BATCH: u32 = 500;

/// Inspect, export and erase the conversations that a server stored
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// List conversations, those with the newest turns first
    List(ListArgs),
    /// Show the turns of a conversation, or of all conversations of a person
    Show(ShowArgs),
    /// Write the turns of a conversation, or of all conversations of a person, as JSON lines
    Export(ExportArgs),
    /// Erase a conversation, or all conversations of a person
    Forget(ForgetArgs),
    /// Wrap the keys of persons again, under the data key in force
    Rewrap(RewrapArgs),
}

#[derive(Debug, clap::Args)]
struct ListArgs {
    /// Show at most N conversations
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    limit: u32,
}

#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
struct SubjectArgs {
    /// Conversation: the id that the client gave it, or its name in a list
    conversation: Option<String>,
    /// Person: the `user_id` that the client gave, or the name in a list
    #[arg(long, value_name = "USER")]
    person: Option<String>,
}

#[derive(Debug, clap::Args)]
struct ShowArgs {
    #[command(flatten)]
    subject: SubjectArgs,
    /// Show at most N turns of each conversation, the newest
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    limit: u32,
}

#[derive(Debug, clap::Args)]
struct ExportArgs {
    #[command(flatten)]
    subject: SubjectArgs,
    /// Write the turns to this file
    #[arg(long, short, value_name = "FILE", default_value = "conversations.jsonl")]
    out: OutPath,
    #[command(flatten)]
    force: ForceArg,
    /// Check, but write nothing
    #[arg(long)]
    dry_run: bool,
}

#[derive(Debug, clap::Args)]
struct ForgetArgs {
    #[command(flatten)]
    subject: SubjectArgs,
    #[command(flatten)]
    reason: ReasonArg,
    /// Check, and show what would be erased, but erase nothing
    #[arg(long)]
    dry_run: bool,
}

#[derive(Debug, clap::Args)]
struct RewrapArgs {
    /// Check, but change nothing
    #[arg(long)]
    dry_run: bool,
}

#[derive(Serialize)]
struct Listed {
    store: String,
    conversations: Vec<ListLine>,
}

#[derive(Serialize)]
struct Exported {
    out: String,
    conversations: usize,
    turns: usize,
    dry_run: bool,
}

#[derive(Serialize)]
struct Rewrapped {
    key_id: String,
    keys: u64,
    /// The messages of channels that still need another data key.
    messages: u64,
    dry_run: bool,
}

impl SubjectArgs {
    fn subject(&self) -> (Subject, &str) {
        match (&self.conversation, &self.person) {
            (Some(id), _) => (Subject::Conversation, id),
            (None, person) => (Subject::Person, person.as_deref().unwrap_or_default()),
        }
    }

    /// Finds what is stored.
    ///
    /// # Errors
    /// `BOT-6126` (exit 2) nothing is.
    async fn find(&self, of: &Conversations) -> Result<Found> {
        let (subject, written) = self.subject();
        let found = of.find(subject, written).await?;
        if found.conversations.is_empty() { Err(self.nothing()) } else { Ok(found) }
    }

    fn nothing(&self) -> Fault {
        let (subject, written) = self.subject();
        let kind = match subject {
            Subject::Conversation => "conversation",
            Subject::Person => "person",
        };
        let message = format!("nothing is stored of the {kind} `{}`", display(written, 60));
        Fault::usage("BOT-6126", message).hint("`botops conversations list` shows what is stored")
    }
}

pub(crate) fn run(args: &Args, context: &Context) -> Result<Outcome> {
    match &args.verb {
        Verb::List(args) => list(args, context),
        Verb::Show(args) => show(args, context),
        Verb::Export(args) => export(args, context),
        Verb::Forget(args) => forget(args, context),
        Verb::Rewrap(args) => rewrap(args, context),
    }
}

fn list(args: &ListArgs, context: &Context) -> Result<Outcome> {
    let location = conversing::location(context.workspace()?)?;
    // Names are shown as they are stored, so that no key is needed.
    let found = context.wait(async {
        let store = location.open(false).await?;
        let of = Conversations::new(store, Names::new(&[], None), None);
        of.recent(None, args.limit).await
    })??;
    let conversations: Vec<ListLine> = found.iter().map(line).collect();
    let text = text::listed(&conversations);
    let outcome = Outcome::done(&Listed { store: location.to_string(), conversations }, text);
    Ok(match found.first() {
        Some(first) => {
            let name = first.conversation.to_string();
            outcome.next(shell_line(["botops", "conversations", "show", &name]))
        }
        None => outcome,
    })
}

fn line(found: &Summary) -> ListLine {
    ListLine {
        conversation: found.conversation,
        person: found.person,
        turns: found.turns,
        first: time(found.first),
        last: time(found.last),
    }
}

fn time(milliseconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp_millis(milliseconds).unwrap_or_default()
}

fn turn_line(StoredTurn { row, turn }: StoredTurn) -> TurnLine {
    let readable = turn.is_some();
    let turn = turn.unwrap_or_default();
    let given = |text: String| readable.then_some(text);
    TurnLine {
        conversation: row.conversation,
        number: row.number,
        at: time(row.at),
        person: row.person,
        open: row.open,
        readable,
        message_id: turn.message_id,
        request_id: given(turn.request_id),
        intent: turn.intent,
        language: turn.language,
        entities: turn.entities,
        slots: turn.slots,
        answer: serde_json::from_str(&turn.answer).unwrap_or(Value::Null),
        text: given(turn.text),
        digest: given(turn.digest),
        arm: given(turn.arm),
    }
}

/// Reads the turns of what was found, at most the newest `limit` of each conversation.
async fn turns(of: &Conversations, found: &Found, limit: u32) -> Result<Vec<TurnLine>> {
    let mut lines = Vec::new();
    for found in &found.conversations {
        let mut from = (found.turns - i64::from(limit)).max(0);
        loop {
            let turns = of.turns(found.conversation, from, BATCH).await?;
            let Some(last) = turns.last() else { break };
            from = last.row.number + 1;
            lines.extend(turns.into_iter().map(turn_line));
        }
    }
    Ok(lines)
}

fn show(args: &ShowArgs, context: &Context) -> Result<Outcome> {
    let (found, turns) = context.wait(async {
        let of = conversing::open(context, false).await?;
        let found = args.subject.find(&of).await?;
        let turns = turns(&of, &found, args.limit).await?;
        Ok::<_, Fault>((found, turns))
    })??;
    let conversations = found.conversations.iter().map(line).collect();
    let answer = Shown { conversations, turns };
    let text = text::shown(&answer);
    Ok(Outcome::done(&answer, text))
}

fn export(args: &ExportArgs, context: &Context) -> Result<Outcome> {
    // It has the texts of persons.
    let output = Output::new(&args.out, OutputKind::Other, args.force.force).private();
    output.check()?;
    let (found, turns) = context.wait(async {
        let of = conversing::open(context, false).await?;
        let found = args.subject.find(&of).await?;
        let turns = turns(&of, &found, u32::MAX).await?;
        Ok::<_, Fault>((found, turns))
    })??;
    let mut lines = Vec::new();
    for turn in &turns {
        serde_json::to_writer(&mut lines, turn).expect("a turn can be written as JSON");
        lines.push(b'\n');
    }
    match args.dry_run {
        true => output.check_content(&lines)?,
        false => output.write(&lines)?,
    }
    let (n_conversations, n_turns) = (found.conversations.len(), turns.len());
    let answer = Exported {
        out: args.out.shown(),
        conversations: n_conversations,
        turns: n_turns,
        dry_run: args.dry_run,
    };
    let verb = if args.dry_run { "would write" } else { "wrote" };
    let text = format!(
        "{}: {verb} {} of {}\n",
        answer.out,
        tables::counted(n_turns as u64, "turn", "turns"),
        tables::counted(n_conversations as u64, "conversation", "conversations")
    );
    Ok(Outcome::done(&answer, text))
}

fn forget(args: &ForgetArgs, context: &Context) -> Result<Outcome> {
    let workspace = context.workspace()?;
    let by = context.claimed()?.label();
    let reason = &args.reason.reason;
    check_author(&by, reason)?;
    let at = provenance::now()?;
    let log = context.store(&workspace.registry.value)?;
    let (subject, written) = args.subject.subject();
    let (found, messages, erased) = context.wait(async {
        let of = conversing::open_or_empty(context).await?;
        let found = of.find(subject, written).await?;
        // An erasure that did not end may have left nothing but its files to clean.
        let unfinished = Conversations::is_unfinished(&log, &found.names).await?;
        // First the messages of channels that wait: none of them becomes a turn afterwards.
        let names = in_channels(subject, &found);
        let messages = forget_messages(&log, &names, at.timestamp(), args.dry_run).await?.total();
        if found.conversations.is_empty() && !unfinished && messages == 0 {
            return Err(args.subject.nothing());
        }
        if args.dry_run {
            return Ok((found, messages, None));
        }
        let erased = of.forget(&log, (subject, &found), ErasureAct { by: &by, reason, at }).await?;
        Ok((found, messages, Some(erased)))
    })??;
    let answer = Forgotten {
        subject,
        conversations: found.conversations.len(),
        turns: erased.map_or(found.turns(), |erased| erased.turns),
        keys: erased.map_or(0, |erased| erased.keys),
        messages,
        dry_run: args.dry_run,
    };
    Ok(Outcome::done(&answer, text::forgotten(&answer)))
}

/// Returns the names by which channels know what is erased: of a person, every conversation that is erased, too.
fn in_channels(subject: Subject, found: &Found) -> ErasedNames {
    let written = found.names.iter().map(ToString::to_string);
    let mut names = ErasedNames::default();
    match subject {
        Subject::Conversation => names.conversations.extend(written),
        Subject::Person => names.persons.extend(written),
    }
    names.conversations.extend(found.conversations.iter().map(|it| it.conversation.to_string()));
    names
}

fn rewrap(args: &RewrapArgs, context: &Context) -> Result<Outcome> {
    let Some(keys) = context.workspace()?.data_key.value.resolve()? else {
        return Err(Fault::usage("BOT-6117", "no data key is set")
            .hint("set `secrets.data_key` in botops.yaml, or BOTOPS_DATA_KEY"));
    };
    let key_id = DataKeys::parse(keys.expose())?.current().to_owned();
    let store = context.store(&context.workspace()?.registry.value)?;
    let (keys, messages) = context.wait(async {
        let keys = conversing::open(context, false).await?.rewrap(args.dry_run).await?;
        Ok::<_, Fault>((keys, messages_under_other_keys(&store, &key_id).await?))
    })??;
    let n_keys = tables::counted(keys, "key", "keys");
    let n_messages = tables::counted(messages, "message", "messages");
    let text = match (args.dry_run, messages) {
        (true, _) => format!("{n_keys} or more would be wrapped by `{key_id}` (dry run)\n"),
        (false, 0) => {
            format!("{n_keys} wrapped by `{key_id}`; the data key before can be taken away\n")
        }
        // They are sealed by the key itself, and go in a while.
        (false, _) => format!(
            "{n_keys} wrapped by `{key_id}`; {n_messages} of channels need the data key before until they are answered, replayed or removed\n"
        ),
    };
    Ok(Outcome::done(&Rewrapped { key_id, keys, messages, dry_run: args.dry_run }, text))
}
