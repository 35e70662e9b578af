//! `botops channels`.

use super::Outcome;
use crate::cli::{
    session::{context::Context, conversing},
    terminal::tables,
};
use botops_channels::{DeadLetter, DeadLetters, HandedConversations};
use botops_conversations::Id;
use botops_findings::{Fault, Result};
use botops_store::Store;
use botops_text::{display, shell_line};
use botops_workspace::ChannelSpec;
use chrono::{DateTime, Utc};
use clap::Subcommand;
use serde::Serialize;

/// Inspect the messaging channels, and replay messages that were not answered
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// List the channels, with the conversations that wait and the dead letters
    List,
    /// List the dead letters of a channel: messages that could not be answered
    Dead(DeadArgs),
    /// List the conversations of a channel that a person continues, in which the bot is silent
    Handed(HandedArgs),
    /// Give a conversation that a person continued back to the bot
    GiveBack(GiveBackArgs),
    /// Put dead letters into the inbox of their channel again
    Replay(ReplayArgs),
}

#[derive(Debug, clap::Args)]
struct DeadArgs {
    /// Channel, as `channels:` of botops.yaml names it
    channel: String,
}

#[derive(Debug, clap::Args)]
struct HandedArgs {
    /// Channel, as `channels:` of botops.yaml names it
    channel: String,
}

#[derive(Debug, clap::Args)]
struct GiveBackArgs {
    /// Channel, as `channels:` of botops.yaml names it
    channel: String,
    /// Conversation: the id that the platform gives it, or its name in a list
    conversation: String,
    /// Check, but change nothing
    #[arg(long)]
    dry_run: bool,
}

#[derive(Debug, clap::Args)]
struct ReplayArgs {
    /// Channel, as `channels:` of botops.yaml names it
    channel: String,
    /// Dead letters, by the ids that `botops channels dead` shows
    #[arg(required_unless_present = "all", conflicts_with = "all")]
    ids: Vec<String>,
    /// Replay every dead letter of the channel
    #[arg(long)]
    all: bool,
    /// Check, but change nothing
    #[arg(long)]
    dry_run: bool,
}

#[derive(Serialize)]
struct ChannelLine {
    name: String,
    platform: &'static str,
    waiting_conversations: usize,
    dead_letters: usize,
}

#[derive(Serialize)]
struct Listed {
    store: String,
    channels: Vec<ChannelLine>,
}

/// A dead letter, without the text and the person.
#[derive(Serialize)]
struct LetterLine {
    id: String,
    at: DateTime<Utc>,
    received_at: DateTime<Utc>,
    attempts: u32,
    replays: u32,
    reason: String,
}

#[derive(Serialize)]
struct Dead {
    channel: String,
    dead_letters: Vec<LetterLine>,
}

#[derive(Serialize)]
struct Replayed {
    channel: String,
    replayed: Vec<String>,
    dry_run: bool,
}

/// A conversation that a person continues.
#[derive(Serialize)]
struct HandedLine {
    conversation: Id,
    at: DateTime<Utc>,
}

#[derive(Serialize)]
struct Handed {
    channel: String,
    conversations: Vec<HandedLine>,
}

#[derive(Serialize)]
struct GivenBack {
    channel: String,
    conversation: Id,
    dry_run: bool,
}

pub(crate) fn run(args: &Args, context: &Context) -> Result<Outcome> {
    match &args.verb {
        Verb::List => list(context),
        Verb::Dead(args) => dead(args, context),
        Verb::Handed(args) => handed(args, context),
        Verb::GiveBack(args) => give_back(args, context),
        Verb::Replay(args) => replay(args, context),
    }
}

/// Opens the dead letters of a channel of the settings.
///
/// # Errors
/// `BOT-7506` (exit 2) there is no such channel.
fn open(channel: &str, context: &Context) -> Result<DeadLetters> {
    Ok(DeadLetters::new(store_of(channel, context)?, channel))
}

/// Returns the store of a channel of the settings.
///
/// # Errors
/// `BOT-7506` (exit 2) there is no such channel.
fn store_of(channel: &str, context: &Context) -> Result<Store> {
    let workspace = context.workspace()?;
    if !workspace.channels.value.contains_key(channel) {
        let shown = display(channel, 40);
        return Err(Fault::usage("BOT-7506", format!("there is no channel `{shown}`"))
            .hint("list the channels of the settings: `botops channels list`"));
    }
    context.store(&workspace.registry.value)
}

fn platform(spec: &ChannelSpec) -> &'static str {
    match () {
        () if spec.whatsapp.is_some() => "whatsapp",
        () if spec.webhook.is_some() => "webhook",
        () if spec.slack.is_some() => "slack",
        () if spec.telegram.is_some() => "telegram",
        () if spec.chatwoot.is_some() => "chatwoot",
        () => "none",
    }
}

fn list(context: &Context) -> Result<Outcome> {
    let workspace = context.workspace()?;
    let mut channels = Vec::new();
    for (name, source) in &workspace.channels.value {
        let letters = open(name, context)?;
        let (waiting, dead) = context.wait(async {
            Ok::<_, Fault>((letters.waiting_conversations().await?, letters.list().await?))
        })??;
        channels.push(ChannelLine {
            name: name.clone(),
            platform: platform(&source.spec),
            waiting_conversations: waiting,
            dead_letters: dead.len(),
        });
    }
    let next = channels.iter().find(|line| line.dead_letters > 0);
    let next = next.map(|line| shell_line(["botops", "channels", "dead", line.name.as_str()]));
    let rows = channels.iter().map(|line| {
        vec![
            line.name.clone(),
            line.platform.to_owned(),
            line.waiting_conversations.to_string(),
            line.dead_letters.to_string(),
        ]
    });
    let text = match channels.is_empty() {
        true => "botops.yaml has no channels\n".to_owned(),
        false => tables::table(
            &["channel", "platform", "waiting conversations", "dead letters"],
            rows,
            &[2, 3],
        ),
    };
    let store = workspace.registry.value.clone();
    let outcome = Outcome::done(&Listed { store, channels }, text);
    Ok(match next {
        Some(next) => outcome.next(next),
        None => outcome,
    })
}

fn line(letter: &DeadLetter) -> LetterLine {
    LetterLine {
        id: letter.id.clone(),
        at: DateTime::from_timestamp(letter.at, 0).unwrap_or_default(),
        received_at: DateTime::from_timestamp_millis(letter.received_at()).unwrap_or_default(),
        attempts: letter.attempts,
        replays: letter.replays(),
        reason: letter.reason.clone(),
    }
}

fn dead(args: &DeadArgs, context: &Context) -> Result<Outcome> {
    let letters = open(&args.channel, context)?;
    let found = context.wait(letters.list())??;
    let dead_letters: Vec<LetterLine> = found.iter().map(line).collect();
    let rows = dead_letters.iter().map(|line| {
        vec![
            line.id.clone(),
            tables::time(&line.received_at),
            tables::time(&line.at),
            line.attempts.to_string(),
            display(&line.reason, 200),
        ]
    });
    let text = match dead_letters.is_empty() {
        true => format!("{} has no dead letters\n", args.channel),
        false => tables::table(
            &["id", "received (UTC)", "given up (UTC)", "tries", "reason"],
            rows,
            &[3],
        ),
    };
    let next = dead_letters.first().map(|line| {
        shell_line(["botops", "channels", "replay", args.channel.as_str(), line.id.as_str()])
    });
    let outcome = Outcome::done(&Dead { channel: args.channel.clone(), dead_letters }, text);
    Ok(match next {
        Some(next) => outcome.next(next),
        None => outcome,
    })
}

fn handed(args: &HandedArgs, context: &Context) -> Result<Outcome> {
    let of = HandedConversations::new(store_of(&args.channel, context)?, &args.channel);
    let conversations: Vec<HandedLine> = context
        .wait(of.list())??
        .into_iter()
        .map(|it| HandedLine { conversation: it.conversation, at: it.at })
        .collect();
    let rows = conversations
        .iter()
        .map(|line| vec![line.conversation.to_string(), tables::time(&line.at)]);
    let text = match conversations.is_empty() {
        true => format!("the bot answers in every conversation of {}\n", args.channel),
        false => tables::table(&["conversation", "handed over (UTC)"], rows, &[]),
    };
    let next = conversations.first().map(|line| {
        let name = line.conversation.to_string();
        shell_line(["botops", "channels", "give-back", args.channel.as_str(), &name])
    });
    let outcome = Outcome::done(&Handed { channel: args.channel.clone(), conversations }, text);
    Ok(match next {
        Some(next) => outcome.next(next),
        None => outcome,
    })
}

fn give_back(args: &GiveBackArgs, context: &Context) -> Result<Outcome> {
    let of = HandedConversations::new(store_of(&args.channel, context)?, &args.channel);
    let names = conversing::names(context)?;
    // The names under both identity keys, and the name in a list.
    let mut candidates = names.conversations(&format!("{}:{}", args.channel, args.conversation));
    candidates.extend(args.conversation.parse::<Id>());
    let found = context.wait(async {
        let with_persons = of.list().await?;
        let found = candidates
            .into_iter()
            .find(|name| with_persons.iter().any(|handed| handed.conversation == *name));
        if let Some(name) = found.filter(|_| !args.dry_run) {
            of.give_back(name).await?;
        }
        Ok::<_, Fault>(found)
    })??;
    let Some(conversation) = found else {
        let shown = display(&args.conversation, 60);
        let message = format!("no person has the conversation `{shown}` of `{}`", args.channel);
        let list = shell_line(["botops", "channels", "handed", args.channel.as_str()]);
        return Err(Fault::usage("BOT-6126", message).hint(format!("list them: `{list}`")));
    };
    let verb = if args.dry_run { "would be given back" } else { "is given back" };
    let text = format!("{}: {conversation} {verb} to the bot\n", args.channel);
    let (channel, dry_run) = (args.channel.clone(), args.dry_run);
    Ok(Outcome::done(&GivenBack { channel, conversation, dry_run }, text))
}

fn replay(args: &ReplayArgs, context: &Context) -> Result<Outcome> {
    let letters = open(&args.channel, context)?;
    let known = context.wait(letters.list())??;
    let known: Vec<String> = known.into_iter().map(|letter| letter.id).collect();
    // Every id is checked before the first letter is replayed.
    if let Some(unknown) = args.ids.iter().find(|id| !known.contains(id)) {
        let message = format!("there is no dead letter `{}`", display(unknown, 60));
        let list = shell_line(["botops", "channels", "dead", args.channel.as_str()]);
        return Err(Fault::usage("BOT-7503", message).hint(format!("list them: `{list}`")));
    }
    let replayed = if args.all { known } else { args.ids.clone() };
    if !args.dry_run {
        context.wait(async {
            for id in &replayed {
                letters.replay(id).await?;
            }
            Ok::<_, Fault>(())
        })??;
    }
    let verb = if args.dry_run { "would be replayed" } else { "wait in the inbox again" };
    let n = tables::counted(replayed.len() as u64, "dead letter", "dead letters");
    let text = format!("{}: {n} {verb}\n", args.channel);
    let channel = args.channel.clone();
    Ok(Outcome::done(&Replayed { channel, replayed, dry_run: args.dry_run }, text))
}
