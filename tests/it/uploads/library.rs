//! A server that takes documents, with keys of administrators and of a client.

use super::files::{FORM, File, form};
use crate::{
    serving::{self, server_process::Server},
    support::{Folder, terminal_output},
};
use botops_knowledge::KnowledgeIndex;
use botops_store::Store;
use serde_json::Value;
use std::{
    collections::BTreeMap,
    fs,
    time::{Duration, Instant},
};

/// The number by which the waits of these servers are divided: a job is held for 5 s.
const TIMES: u32 = 12;
/// The longest wait for a job; the machine may be busy.
const PATIENCE: Duration = Duration::from_secs(120);
/// The path of uploads.
pub(super) const DOCUMENTS: &str = "/admin/v1/knowledge/help/documents";

/// A folder with a registry and keys.
pub(super) struct Library {
    pub(super) folder: Folder,
    /// The key of an administrator with the scope `knowledge`.
    pub(super) key: String,
}

impl Library {
    /// Makes the folder.
    pub(super) async fn new() -> Self {
        let folder = Folder::empty();
        let place = folder.path().join("registry");
        let store = Store::open(place.to_str().unwrap(), &BTreeMap::new()).unwrap();
        let model = serving::model(160, 1, serving::unchanged);
        serving::registry_in(store, &[&model]).await;
        folder.write("botops.yaml", "environment: test\n");
        let mut library = Self { folder, key: String::new() };
        library.key = library.new_key("documents", "knowledge");
        library
    }

    /// Makes a key with scopes, and returns it.
    pub(super) fn new_key(&self, name: &str, scopes: &str) -> String {
        let arguments =
            ["keys", "create", "--name", name, "--scopes", scopes, "--reason", "a test"];
        let output = self.folder.botops(arguments).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    /// Starts a server.
    pub(super) fn serve(&self) -> Server {
        Server::start_with(self.folder.path(), TIMES, |_| {})
    }

    /// Runs `botops` in the folder, beside the store.
    pub(super) fn run(&self, arguments: &[&str]) -> String {
        terminal_output(&mut self.folder.botops(arguments.iter().copied()))
    }

    /// Sends a request to the admin API of a server; returns the status and the answer.
    pub(super) async fn send(
        &self,
        server: &Server,
        (method, path): (&str, &str),
        (headers, body): (&[(&str, &str)], Vec<u8>),
    ) -> (u16, Value) {
        let method = reqwest::Method::from_bytes(method.as_bytes()).unwrap();
        let url = format!("{}{path}", server.admin_url());
        let mut request = serving::http().request(method, url);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let answer = request.body(body).send().await.unwrap();
        let status = answer.status().as_u16();
        let text = answer.text().await.unwrap();
        (status, serde_json::from_str(&text).unwrap_or_else(|_| panic!("{status}: {text}")))
    }

    /// Uploads files with the key of the scope `knowledge`.
    pub(super) async fn upload(&self, server: &Server, files: &[File<'_>]) -> (u16, Value) {
        self.upload_with(server, &[], form(&[], files)).await
    }

    /// Uploads a form with more headers.
    pub(super) async fn upload_with(
        &self,
        server: &Server,
        more: &[(&str, &str)],
        form: Vec<u8>,
    ) -> (u16, Value) {
        let bearer = format!("Bearer {}", self.key);
        let headers =
            [&[("authorization", bearer.as_str()), ("content-type", FORM)], more].concat();
        self.send(server, ("POST", DOCUMENTS), (&headers, form)).await
    }

    /// Uploads files that are taken; returns the id of the job.
    pub(super) async fn submit(&self, server: &Server, files: &[File<'_>]) -> String {
        let (status, taken) = self.upload(server, files).await;
        assert_eq!(status, 202, "{taken}");
        taken["job"]["id"].as_str().unwrap().to_owned()
    }

    /// Returns a job as `botops jobs show` reads it from the store.
    pub(super) fn job(&self, id: &str) -> Value {
        let output = self.folder.botops(["jobs", "show", id, "--format", "json"]).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
        answer["data"].clone()
    }

    /// Waits until a job has one of the states.
    pub(super) async fn until(&self, id: &str, states: &[&str]) -> Value {
        let begun = Instant::now();
        loop {
            let job = self.job(id);
            if states.contains(&job["state"].as_str().unwrap()) {
                return job;
            }
            assert!(begun.elapsed() < PATIENCE, "{states:?}: {job}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Waits until a job is over.
    pub(super) async fn over(&self, id: &str) -> Value {
        self.until(id, &["finished", "failed", "cancelled"]).await
    }

    /// Returns how many versions the knowledge base `help` has.
    pub(super) fn versions(&self) -> usize {
        let entries = fs::read_dir(self.folder.path().join("registry/knowledge/help/log"));
        // A file with `#` in its name was being written by a server that was killed.
        let is_entry = |name: &str| !name.contains('#');
        let names = entries.into_iter().flatten().map(|it| it.unwrap().file_name());
        names.filter(|name| is_entry(&name.to_string_lossy())).count()
    }

    /// Returns the index of the newest version.
    pub(super) fn index(&self) -> KnowledgeIndex {
        let pulled =
            self.run(&["knowledge", "pull", "help", "--out", "pulled.knowledge", "--force"]);
        assert!(pulled.starts_with("exit: 0"), "{pulled}");
        let bytes = fs::read(self.folder.path().join("pulled.knowledge")).unwrap();
        KnowledgeIndex::from_bytes(&bytes).unwrap()
    }

    /// Returns every passage of the newest version, with the name of its document.
    pub(super) fn passages(&self) -> Vec<(String, String)> {
        let index = self.index();
        let passages = (0..u32::try_from(index.n_chunks()).unwrap()).map(|n| index.passage(n));
        passages.map(|it| (it.document.to_owned(), it.text.to_owned())).collect()
    }
}
