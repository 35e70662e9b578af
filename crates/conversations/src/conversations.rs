//! The conversations of a bot: named, sealed and in order, in any store.

use crate::{
    head::Head,
    heads::Heads,
    names::{Id, Named, Names},
    sealing::{DataKeys, PersonKey, is_sealed},
    store::{Appended, ConversationStore, Row, Summary},
    turn::Turn,
};
use botops_findings::{Fault, FaultKind, Result};
use std::{sync::Arc, time::Duration};
use tokio::time::Instant;

/// How long a write to a store that cannot be reached is tried again.
const PATIENCE: Duration = Duration::from_secs(3);
/// The pause between two tries.
const PAUSE: Duration = Duration::from_millis(50);

/// The conversations of a bot in a store.
#[derive(Clone)]
pub struct Conversations {
    pub(crate) store: Arc<dyn ConversationStore>,
    pub(crate) names: Names,
    pub(crate) keys: Option<DataKeys>,
    heads: Arc<Heads>,
}

impl std::fmt::Debug for Conversations {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Conversations").field("keys", &self.keys).finish_non_exhaustive()
    }
}

/// A turn that was read.
#[derive(Debug, Clone)]
pub struct StoredTurn {
    /// Its place and time.
    pub row: Row,
    /// The texts and their meaning; `None` if the key of the person was erased.
    pub turn: Option<Turn>,
}

/// The outcome of recording a turn.
#[derive(Debug)]
pub enum Recorded {
    /// It is stored under this id, which is also the key of its action.
    Written(Id),
    /// A turn with the same message id was stored before: this one.
    Known(Box<StoredTurn>),
    /// Another turn came first: the conversation ends here now.
    Moved(Box<Head>),
}

impl Conversations {
    /// Makes the conversations in `store`, named by `names`. With `keys`, texts are sealed.
    #[must_use]
    pub fn new(store: Arc<dyn ConversationStore>, names: Names, keys: Option<DataKeys>) -> Self {
        Self { store, names, keys, heads: Arc::default() }
    }

    /// Returns the names of conversations and persons.
    #[must_use]
    pub fn names(&self) -> &Names {
        &self.names
    }

    /// Returns the data keys; `None` if texts are not sealed.
    #[must_use]
    pub fn data_keys(&self) -> Option<&DataKeys> {
        self.keys.as_ref()
    }

    /// Returns the names of a conversation and its person.
    #[must_use]
    pub fn named(&self, conversation_id: &str, user_id: Option<&str>) -> Named {
        self.names.of(conversation_id, user_id)
    }

    /// Returns the end of a conversation, as this process last saw it or else as it is stored. A conversation that so far
    /// was named under the identity key before goes on under the one in force, with its slots.
    ///
    /// # Errors
    /// Those of the store; `BOT-6117`, `BOT-6118` and `BOT-6123` if the last turn cannot be read.
    pub async fn head(&self, named: &Named) -> Result<Head> {
        if let Some(head) = self.heads.get(named.conversation) {
            return Ok(head);
        }
        let last = self.store.last(named.conversation).await?;
        let head = self.head_of(last).await?;
        if let (None, Some(old)) = (head.last, named.old)
            && let Some(last) = self.store.last(old).await?
        {
            let slots = self.head_of(Some(last)).await?.slots;
            return Ok(Head { slots, ..Head::default() });
        }
        Ok(head)
    }

    /// Returns the end of a conversation as it is stored now, whatever this process saw last.
    ///
    /// # Errors
    /// As [`Self::head`].
    pub async fn stored_head(&self, named: &Named) -> Result<Head> {
        self.heads.forget(named.conversation);
        self.head(named).await
    }

    async fn head_of(&self, last: Option<Row>) -> Result<Head> {
        let Some(row) = last else { return Ok(Head::default()) };
        let (last, at, open) = (Some((row.number, row.turn)), Some(row.at), row.open);
        let turn = self.read(row).await?.turn;
        let text = turn.as_ref().map(|turn| Arc::from(turn.text.as_str()));
        let slots = turn.map(|turn| turn.slots).unwrap_or_default();
        Ok(Head { last, at, slots: Arc::new(slots), text, open, key: None })
    }

    /// Appends a turn that follows `head`, at the time `at` in milliseconds since 1970. `open` says that an action of the
    /// turn is under way, whose outcome [`Self::settle`] stores.
    ///
    /// While the store cannot be reached, the write is tried again for up to 3 seconds; a turn that a lost try had written
    /// is not written twice.
    ///
    /// # Errors
    /// `BOT-6116` (exit 7) the store cannot be reached, and it is unknown whether the turn is stored; `BOT-6121` (exit 5)
    /// the message id was used for another text; `BOT-6128` (exit 3) the turn is too large; those of the store.
    pub async fn append(
        &self,
        named: &Named,
        head: &Head,
        (turn, open, at): (&Turn, bool, i64),
    ) -> Result<Recorded> {
        let body = turn.to_bytes()?;
        let until = Instant::now() + PATIENCE;
        if let Some(message_id) = &turn.message_id
            && let Some(old) = self.names.old_message(named, message_id)
            && let Some(known) = patiently(until, || self.store.of_message(old)).await?
        {
            return Ok(Recorded::Known(Box::new(self.same(known, &turn.text).await?)));
        }
        let id = Id::random()?;
        let message = turn.message_id.as_deref();
        let mut row = Row {
            conversation: named.conversation,
            number: head.next(),
            turn: id,
            message: message.map_or(id, |message| self.names.message(named, message)),
            person: named.person,
            at,
            open,
            body,
        };
        let key = patiently(until, || self.key(&row, head)).await?;
        if let Some((_, key)) = &key {
            row.body = key.seal(&row.body, &place(&row))?;
        }
        let after = head.last.map(|(_, id)| id);
        let appended = patiently(until, || self.store.append(&row, after)).await;
        // Whatever else has happened to the conversation, this process no longer knows its end.
        if !matches!(appended, Ok(Appended::Written)) {
            self.heads.forget(named.conversation);
        }
        match appended? {
            Appended::Known(known) if known.turn == id => {}
            Appended::Written => {}
            Appended::Known(known) => {
                return Ok(Recorded::Known(Box::new(self.same(known, &turn.text).await?)));
            }
            Appended::Moved(last) => {
                return Ok(Recorded::Moved(Box::new(self.head_of(last).await?)));
            }
        }
        let slots = match *head.slots == turn.slots {
            true => Arc::clone(&head.slots),
            false => Arc::new(turn.slots.clone()),
        };
        let last = Some((row.number, id));
        let text = Some(Arc::from(turn.text.as_str()));
        self.heads.keep(named.conversation, Head { last, at: Some(at), slots, text, open, key });
        Ok(Recorded::Written(id))
    }

    /// Returns the turn of a message that was answered before. `head` is the end of the conversation.
    ///
    /// # Errors
    /// `BOT-6121` (exit 5) the message id was used for another text; as [`Self::read`].
    pub async fn known(
        &self,
        named: &Named,
        head: &Head,
        (message_id, text): (&str, &str),
    ) -> Result<Option<StoredTurn>> {
        let now = (head.last.is_some()).then(|| self.names.message(named, message_id));
        for name in now.into_iter().chain(self.names.old_message(named, message_id)) {
            if let Some(row) = self.store.of_message(name).await? {
                return self.same(row, text).await.map(Some);
            }
        }
        Ok(None)
    }

    /// Reads a turn that was stored for the same message id, and checks that it was the same message.
    async fn same(&self, known: Row, text: &str) -> Result<StoredTurn> {
        let known = self.read(known).await?;
        if known.turn.as_ref().is_some_and(|known| known.text == text) {
            return Ok(known);
        }
        let message = "a message with this id was answered before, and it had another text";
        Err(Fault::conflict("BOT-6121", message).hint("give every message an id of its own"))
    }

    /// Stores the outcome of an action: replaces the open turn `id`, number `number` of the conversation. Returns false if
    /// its outcome was stored before.
    ///
    /// # Errors
    /// As [`Self::append`]; `BOT-6123` (exit 3) if the key of the person was erased meanwhile.
    pub async fn settle(
        &self,
        named: &Named,
        (number, id): (i64, Id),
        (turn, open): (&Turn, bool),
    ) -> Result<bool> {
        let mut row = Row {
            conversation: named.conversation,
            number,
            turn: id,
            message: id,
            person: named.person,
            at: 0,
            open,
            body: turn.to_bytes()?,
        };
        if let Some(keys) = &self.keys {
            let key = self.store.key(row.conversation, person(&row)).await?;
            let Some(key) = key else {
                return Err(Fault::data("BOT-6123", "the key of the person was erased"));
            };
            row.body = keys.unwrap(&key)?.seal(&row.body, &place(&row))?;
        }
        self.heads.forget(named.conversation);
        patiently(Instant::now() + PATIENCE, || self.store.settle(&row)).await
    }

    /// Returns the key to seal `row` with; `None` without a data key.
    ///
    /// A key that this process knows is good for as long as the conversation goes on: when it was erased, so was the turn
    /// that this one follows. The first turn asks the store.
    async fn key(&self, row: &Row, head: &Head) -> Result<Option<(Id, PersonKey)>> {
        let Some(keys) = &self.keys else { return Ok(None) };
        let person = person(row);
        if let (Some(_), Some((known, key))) = (head.last, &head.key)
            && *known == person
        {
            return Ok(Some((person, key.clone())));
        }
        let made = keys.make(row.conversation, person, row.at)?;
        let kept = self.store.keep_key(&made).await?;
        Ok(Some((person, keys.unwrap(&kept)?)))
    }

    /// Reads a turn.
    ///
    /// # Errors
    /// `BOT-6117` (exit 2) its data key is not set; `BOT-6118` (exit 6) it is of a newer botops; `BOT-6123` (exit 3) it is
    /// damaged; those of the store.
    pub async fn read(&self, row: Row) -> Result<StoredTurn> {
        if !is_sealed(&row.body) {
            let turn = Some(Turn::from_bytes(&row.body)?);
            return Ok(StoredTurn { row, turn });
        }
        let Some(key) = self.store.key(row.conversation, person(&row)).await? else {
            return Ok(StoredTurn { row, turn: None });
        };
        let Some(keys) = &self.keys else {
            return Err(Fault::usage("BOT-6117", "texts are encrypted, and no data key is set")
                .hint("set `secrets.data_key` in botops.yaml, or BOTOPS_DATA_KEY"));
        };
        let body = keys.unwrap(&key)?.open(&row.body, &place(&row)).ok_or_else(|| {
            let message = format!(
                "turn {} of the conversation `{}` cannot be decrypted",
                row.number, row.conversation
            );
            Fault::data("BOT-6123", message)
                .hint("it was changed, or its key was erased and made again")
        })?;
        let turn = Some(Turn::from_bytes(&body)?);
        Ok(StoredTurn { row, turn })
    }

    /// Returns turn `number` of a conversation, as it is stored now.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub async fn turn(&self, named: &Named, number: i64) -> Result<Option<StoredTurn>> {
        Ok(self.turns(named.conversation, number, 1).await?.into_iter().next())
    }

    /// Returns the last `limit` turns of a conversation that ends with the turn `last`, in their order.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub async fn last_turns(
        &self,
        named: &Named,
        last: i64,
        limit: u32,
    ) -> Result<Vec<StoredTurn>> {
        let from = last.saturating_add(1).saturating_sub(i64::from(limit)).max(0);
        self.turns(named.conversation, from, limit).await
    }

    /// Returns at most `limit` turns of a conversation from number `from`, in their order.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub async fn turns(&self, conversation: Id, from: i64, limit: u32) -> Result<Vec<StoredTurn>> {
        let mut found = Vec::new();
        for row in self.store.turns(conversation, from, limit).await? {
            found.push(self.read(row).await?);
        }
        Ok(found)
    }

    /// Returns at most `limit` conversations, those with the newest last turns first, that sort after `after`.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn recent(&self, after: Option<(i64, Id)>, limit: u32) -> Result<Vec<Summary>> {
        self.store.recent(after, limit).await
    }

    /// Checks that the data keys open what is stored: the first 500 keys of persons under another key than the one in force, and
    /// one under that.
    ///
    /// # Errors
    /// `BOT-6117` (exit 2) texts are stored under a data key that is not set, `BOT-6123` (exit 3) a key of a person cannot be
    /// unwrapped; those of the store.
    pub async fn check_keys(&self) -> Result<()> {
        // No key id is empty, so this is any key.
        let any = self.store.keys_not_under("", 1).await?;
        let Some(first) = any.first() else { return Ok(()) };
        let Some(keys) = &self.keys else {
            let id = botops_text::display(&first.key_id, 64);
            let message = format!("texts are stored under the data key `{id}`, and none is set");
            return Err(Fault::usage("BOT-6117", message)
                .hint("set `secrets.data_key` in botops.yaml, or BOTOPS_DATA_KEY"));
        };
        keys.unwrap(first)?;
        let others = self.store.keys_not_under(keys.current(), 500).await?;
        others.iter().try_for_each(|key| keys.unwrap(key).map(drop))
    }

    /// Wraps every person's key again that is not wrapped by the data key in force. Returns their number. With `dry_run`, it
    /// tries the first 500 only, and stores nothing.
    ///
    /// # Errors
    /// `BOT-6117` (exit 2) a key is wrapped by a data key that is not set, and stays as it is; those of the store.
    pub async fn rewrap(&self, dry_run: bool) -> Result<u64> {
        const BATCH: u32 = 500;
        let Some(keys) = &self.keys else { return Ok(0) };
        let mut n_wrapped = 0;
        loop {
            let others = self.store.keys_not_under(keys.current(), BATCH).await?;
            if others.is_empty() {
                return Ok(n_wrapped);
            }
            if dry_run {
                others.iter().try_for_each(|key| keys.rewrap(key).map(|_| ()))?;
                return Ok(others.len() as u64);
            }
            for key in others {
                let again = keys.rewrap(&key)?;
                n_wrapped += u64::from(self.store.replace_key(&again, &key.key_id).await?);
            }
        }
    }
}

/// Returns the person whose key seals a turn: the conversation itself where nobody is named.
fn person(row: &Row) -> Id {
    row.person.unwrap_or(row.conversation)
}

/// Returns the place to which a sealed turn is bound.
fn place(row: &Row) -> Vec<u8> {
    let (conversation, turn) = (row.conversation.as_bytes(), row.turn.as_bytes());
    [b"botops turn", &conversation[..], turn, &row.number.to_be_bytes()].concat()
}

/// Does a request, and tries again until `until` while the store cannot be reached.
async fn patiently<T, F: Future<Output = Result<T>>>(
    until: Instant,
    mut request: impl FnMut() -> F,
) -> Result<T> {
    loop {
        let left = until.saturating_duration_since(Instant::now());
        let done = match tokio::time::timeout(left.max(PAUSE), request()).await {
            Ok(done) => done,
            Err(_) => Err(Fault::unreachable(
                "BOT-6116",
                "the store of conversations did not answer in time",
            )),
        };
        match done {
            Err(fault) if fault.kind() == FaultKind::Unreachable && Instant::now() < until => {
                tokio::time::sleep(PAUSE).await;
            }
            done => return done,
        }
    }
}
