//! A store that could not be reached when its server started: it is opened as soon as it can be.

use crate::{
    conversations::Conversations,
    location::Location,
    names::{Id, Names},
    sealing::{DataKeys, WrappedKey},
    store::{Appended, ConversationStore, Erased, Row, Summary},
};
use async_trait::async_trait;
use botops_findings::{Fault, Result};
use std::{
    sync::{Arc, OnceLock, Weak},
    thread,
    time::{Duration, Instant},
};
use tokio::runtime::Handle;

/// The pause before the first try; it doubles with each failure.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
/// The time between two looks at whether the server is still there.
const LOOK: Duration = Duration::from_millis(100);
/// The longest pause between two tries.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// The news of a store that is opened late: `None` when it is open, and a fault when a try fails for another reason than the
/// try before.
pub type News = Box<dyn Fn(Option<&Fault>) + Send + Sync>;

/// A store that is opened late. Until then, nothing is stored and nothing is found: every request gets `BOT-6116`.
pub(crate) struct LateStore {
    shown: String,
    opened: OnceLock<Arc<dyn ConversationStore>>,
}

impl Conversations {
    /// Makes conversations at `location`, whose store cannot be reached now. It is tried again and again, on a thread of its
    /// own, until it is open or all of these are dropped; `news` says how that goes. To be called on the runtime that the
    /// store is to use.
    ///
    /// A store whose texts are under other data keys than `keys` is not used.
    ///
    /// # Errors
    /// `BOT-6125` (exit 1) the system gives no thread.
    pub fn open_late(
        location: Location,
        (names, keys): (Names, Option<DataKeys>),
        news: News,
    ) -> Result<Self> {
        let store = Arc::new(LateStore { shown: location.to_string(), opened: OnceLock::new() });
        let parts = (names.clone(), keys.clone());
        let (late, runtime) = (Arc::downgrade(&store), Handle::current());
        thread::Builder::new()
            .name("late store".to_owned())
            .spawn(move || open(&runtime, &location, &parts, (&late, &news)))
            .map_err(|error| {
                let message = "the thread that opens the store of conversations cannot be started";
                Fault::internal("BOT-6125", message).caused_by(error)
            })?;
        Ok(Self::new(store, names, keys))
    }
}

/// Opens the store, as soon as it can be.
fn open(
    runtime: &Handle,
    location: &Location,
    (names, keys): &(Names, Option<DataKeys>),
    (late, news): (&Weak<LateStore>, &News),
) {
    let (mut pause, mut before) = (FIRST_PAUSE, "BOT-6116");
    loop {
        // Asleep in short pieces, so that a server that ends is noticed.
        let until = Instant::now() + pause;
        while Instant::now() < until {
            thread::sleep(LOOK);
            if late.strong_count() == 0 {
                return;
            }
        }
        let tried = runtime.block_on(async {
            let store = location.open(true).await?;
            let conversations = Conversations::new(Arc::clone(&store), names.clone(), keys.clone());
            conversations.check_keys().await.map(|()| store)
        });
        match tried {
            Ok(store) => {
                let Some(late) = late.upgrade() else { return };
                let _ = late.opened.set(store);
                news(None);
                return;
            }
            Err(fault) => {
                if fault.code() != before {
                    before = fault.code();
                    news(Some(&fault));
                }
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
        }
    }
}

impl LateStore {
    fn store(&self) -> Result<&dyn ConversationStore> {
        self.opened.get().map(|store| &**store).ok_or_else(|| {
            let message = format!("the store of conversations `{}` cannot be reached", self.shown);
            Fault::unreachable("BOT-6116", message)
                .hint("check that it runs and that this machine reaches it")
        })
    }
}

#[async_trait]
impl ConversationStore for LateStore {
    async fn append(&self, row: &Row, after: Option<Id>) -> Result<Appended> {
        self.store()?.append(row, after).await
    }

    async fn settle(&self, row: &Row) -> Result<bool> {
        self.store()?.settle(row).await
    }

    async fn last(&self, conversation: Id) -> Result<Option<Row>> {
        self.store()?.last(conversation).await
    }

    async fn of_message(&self, message: Id) -> Result<Option<Row>> {
        self.store()?.of_message(message).await
    }

    async fn turns(&self, conversation: Id, from: i64, limit: u32) -> Result<Vec<Row>> {
        self.store()?.turns(conversation, from, limit).await
    }

    async fn recent(&self, after: Option<(i64, Id)>, limit: u32) -> Result<Vec<Summary>> {
        self.store()?.recent(after, limit).await
    }

    async fn of_person(&self, person: Id) -> Result<Vec<Id>> {
        self.store()?.of_person(person).await
    }

    async fn erase(&self, conversations: &[Id]) -> Result<Erased> {
        self.store()?.erase(conversations).await
    }

    async fn expire(&self, before: i64, limit: u32) -> Result<u64> {
        self.store()?.expire(before, limit).await
    }

    async fn sweep_keys(&self, before: i64) -> Result<u64> {
        self.store()?.sweep_keys(before).await
    }

    async fn scrub(&self) -> Result<()> {
        self.store()?.scrub().await
    }

    async fn key(&self, conversation: Id, person: Id) -> Result<Option<WrappedKey>> {
        self.store()?.key(conversation, person).await
    }

    async fn keep_key(&self, key: &WrappedKey) -> Result<WrappedKey> {
        self.store()?.keep_key(key).await
    }

    async fn keys_not_under(&self, key_id: &str, limit: u32) -> Result<Vec<WrappedKey>> {
        self.store()?.keys_not_under(key_id, limit).await
    }

    async fn replace_key(&self, key: &WrappedKey, before: &str) -> Result<bool> {
        self.store()?.replace_key(key, before).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{head::Head, turn::Turn};
    use std::sync::Mutex;

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_store_is_opened_when_it_can_be_and_the_news_come_once() {
        let folder = tempfile::tempdir().unwrap();
        // A file is where the folder of the store belongs.
        std::fs::write(folder.path().join("store"), "").unwrap();
        let location = Location::parse("store", folder.path()).unwrap();
        let heard = Arc::new(Mutex::new(Vec::new()));
        let hears = Arc::clone(&heard);
        let news = move |fault: Option<&Fault>| {
            hears.lock().unwrap().push(fault.map(Fault::code));
        };
        let names = Names::new(b"a key", None);
        let late = Conversations::open_late(location, (names, None), Box::new(news)).unwrap();
        let named = late.named("c", None);
        let head = late.head(&named).await;
        assert_eq!(head.unwrap_err().code(), "BOT-6116");
        while heard.lock().unwrap().is_empty() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        std::fs::remove_file(folder.path().join("store")).unwrap();
        while heard.lock().unwrap().len() < 2 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let turn = Turn { text: "hello".to_owned(), ..Turn::default() };
        late.append(&named, &Head::default(), (&turn, false, 1)).await.unwrap();
        assert_eq!(late.turns(named.conversation, 0, 9).await.unwrap().len(), 1);
        assert_eq!(*heard.lock().unwrap(), [Some("BOT-6125"), None]);
    }
}
