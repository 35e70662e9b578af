//! The traffic: conversations that meet all servers.

use super::{
    super::serving::{corpus, http},
    fleet::{Address, Fleet, TOKEN},
};
use botops_stats::random::Random;
use chrono::{DateTime, Utc};
use serde_json::json;
use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

/// The clients at the same time.
const CLIENTS: usize = 6;
/// The time between two requests of a client.
const PAUSE: Duration = Duration::from_millis(15);
/// The conversations that go on.
const OPEN: usize = 40;
/// The longest time of a request: longer than any time for which a server is stopped.
const LIMIT: Duration = Duration::from_secs(20);

/// One request and its answer.
#[derive(Debug, Clone)]
pub(super) struct Answer {
    pub(super) conversation: String,
    pub(super) began: DateTime<Utc>,
    pub(super) ended: DateTime<Utc>,
    pub(super) place: usize,
    /// The start of the server that was asked.
    pub(super) start: usize,
    /// The arm and the reference of the model; or why there is none.
    pub(super) result: Result<(String, String), String>,
}

/// The load, until it is stopped.
pub(super) struct Load {
    stop: Arc<AtomicBool>,
    answers: Arc<Mutex<Vec<Answer>>>,
    clients: Vec<tokio::task::JoinHandle<()>>,
}

/// The state that all clients share.
struct Shared {
    fleet: Arc<Fleet>,
    turn: AtomicUsize,
    conversations: AtomicUsize,
    open: Mutex<Vec<String>>,
    texts: Vec<String>,
}

impl Load {
    /// Starts it.
    pub(super) fn start(fleet: &Arc<Fleet>, seed: u64) -> Self {
        let shared = Arc::new(Shared {
            fleet: Arc::clone(fleet),
            turn: AtomicUsize::new(0),
            conversations: AtomicUsize::new(0),
            open: Mutex::default(),
            texts: corpus(400, 99).into_iter().map(|(text, _)| text).collect(),
        });
        let stop = Arc::new(AtomicBool::new(false));
        let answers = Arc::new(Mutex::new(Vec::new()));
        let client = |number: usize| {
            let (shared, stop) = (Arc::clone(&shared), Arc::clone(&stop));
            let (answers, random) = (Arc::clone(&answers), Random::new(seed + number as u64));
            tokio::spawn(async move { shared.ask_until(&stop, &answers, random).await })
        };
        let clients = (0..CLIENTS).map(client).collect();
        Self { stop, answers, clients }
    }

    /// Stops it. Returns all answers.
    pub(super) async fn stop(self) -> Vec<Answer> {
        self.stop.store(true, Ordering::SeqCst);
        for client in self.clients {
            client.await.unwrap();
        }
        self.answers.lock().unwrap().clone()
    }
}

impl Shared {
    async fn ask_until(&self, stop: &AtomicBool, answers: &Mutex<Vec<Answer>>, mut random: Random) {
        let client = http();
        while !stop.load(Ordering::SeqCst) {
            let addresses = self.fleet.addresses();
            let turn = self.turn.fetch_add(1, Ordering::SeqCst);
            let answer = self.ask(&client, &addresses[turn % addresses.len()], &mut random).await;
            answers.lock().unwrap().push(answer);
            tokio::time::sleep(PAUSE).await;
        }
    }

    async fn ask(&self, client: &reqwest::Client, at: &Address, random: &mut Random) -> Answer {
        let conversation = self.conversation(random);
        let text = &self.texts[random.below(self.texts.len())];
        let began = Utc::now();
        let answer = client
            .post(format!("{}/v1/predict", at.public))
            .timeout(LIMIT)
            .bearer_auth(TOKEN)
            .json(&json!({"text": text, "conversation_id": conversation}))
            .send()
            .await;
        let result = match answer {
            Ok(answer) if answer.status() == 200 => {
                let header = |name| answer.headers()[name].to_str().unwrap().to_owned();
                Ok((header("x-botops-arm"), header("x-botops-model")))
            }
            Ok(answer) => {
                let status = answer.status();
                Err(format!("{status}: {}", answer.text().await.unwrap_or_default()))
            }
            Err(error) => Err(format!("{error:?}")),
        };
        let ended = Utc::now();
        Answer { conversation, began, ended, place: at.place, start: at.start, result }
    }

    /// Returns a new conversation, or one that goes on.
    fn conversation(&self, random: &mut Random) -> String {
        let mut open = self.open.lock().unwrap();
        if open.len() == OPEN && random.below(3) == 0 {
            return open[random.below(OPEN)].clone();
        }
        let number = self.conversations.fetch_add(1, Ordering::SeqCst);
        let conversation = format!("conversation-{number}");
        if open.len() == OPEN {
            open.remove(0);
        }
        open.push(conversation.clone());
        conversation
    }
}
