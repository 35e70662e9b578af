//! A real browser, driven over WebDriver: headless Chromium without network access.

use crate::{servers::skip, support::tool};
use serde_json::{Value, json};
use std::{
    io::{BufRead as _, BufReader},
    os::unix::process::CommandExt as _,
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

/// The window and the color scheme in which a page is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct View {
    /// The width of the window, in CSS pixels.
    pub(crate) width: u32,
    /// Whether the reader prefers a dark color scheme.
    pub(crate) is_dark: bool,
}

/// Chromium and its driver. Both end when this is dropped.
pub(crate) struct Browser {
    driver: Child,
    address: String,
    runtime: tokio::runtime::Runtime,
    client: reqwest::Client,
    session: String,
    _profile: tempfile::TempDir,
}

impl Browser {
    /// Starts a browser. Returns `None`, with a message, if it is not installed.
    ///
    /// The programs are those that `BOTOPS_CHROMIUM` and `BOTOPS_CHROMEDRIVER` name, or `chromium` (or
    /// `google-chrome`) and `chromedriver` on the `PATH`.
    pub(crate) fn start() -> Option<Self> {
        let chromium = tool("BOTOPS_CHROMIUM", "chromium").or_else(|| tool("", "google-chrome"));
        let (Some(chromium), Some(driver)) =
            (chromium, tool("BOTOPS_CHROMEDRIVER", "chromedriver"))
        else {
            skip("a browser (on Debian: apt-get install chromium chromium-driver)");
            return None;
        };
        let profile = tempfile::tempdir().unwrap();
        let mut driver = Command::new(driver)
            .args(["--port=0", "--log-level=WARNING"])
            .env("HOME", profile.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            // The driver starts the browser, so both are in one process group.
            .process_group(0)
            .spawn()
            .unwrap();
        let mut output = BufReader::new(driver.stdout.take().unwrap());
        let port = loop {
            let mut line = String::new();
            assert!(output.read_line(&mut line).unwrap() > 0, "the driver ended without a port");
            if let Some((_, port)) = line.trim_end().rsplit_once("successfully on port ") {
                break port.trim_end_matches('.').to_owned();
            }
        };
        // The driver continues to write. Without a reader, a full pipe would block it.
        std::thread::spawn(move || std::io::copy(&mut output, &mut std::io::sink()));
        let _ = rustls::crypto::ring::default_provider().install_default();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let client = reqwest::Client::builder()
            .no_proxy()
            .timeout(Duration::from_secs(120))
            .build()
            .unwrap();
        let mut browser = Self {
            driver,
            address: format!("http://127.0.0.1:{port}"),
            runtime,
            client,
            session: String::new(),
            _profile: profile,
        };
        let flags = [
            "--headless".to_owned(),
            "--no-sandbox".to_owned(),
            "--disable-gpu".to_owned(),
            "--disable-dev-shm-usage".to_owned(),
            "--no-first-run".to_owned(),
            // No requests to the network: no host name resolves, and the proxy does not exist.
            "--disable-background-networking".to_owned(),
            "--disable-component-update".to_owned(),
            "--disable-sync".to_owned(),
            "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1".to_owned(),
            "--proxy-server=127.0.0.1:9".to_owned(),
            format!("--user-data-dir={}", browser._profile.path().join("profile").display()),
        ];
        let made = browser.request(
            "session",
            json!({"capabilities": {"alwaysMatch": {
                "goog:loggingPrefs": {"browser": "ALL"},
                "goog:chromeOptions": {"binary": chromium, "args": flags},
            }}}),
        );
        browser.session = format!("session/{}", made["sessionId"].as_str().unwrap());
        Some(browser)
    }

    fn request(&self, path: &str, body: Value) -> Value {
        let answer: Value = self.runtime.block_on(async {
            let sent = self.client.post(format!("{}/{path}", self.address)).json(&body).send();
            sent.await.unwrap().json().await.unwrap()
        });
        let value = &answer["value"];
        assert!(value["error"].is_null(), "{path}: {}", value["message"]);
        value.clone()
    }

    /// Sends a command of the developer tools.
    pub(crate) fn devtools(&self, command: &str, parameters: Value) -> Value {
        let body = json!({"cmd": command, "params": parameters});
        self.request(&format!("{}/goog/cdp/execute", self.session), body)
    }

    /// Opens the file at `path` as it looks in `view`.
    pub(crate) fn open(&self, path: &Path, view: View) {
        self.show(&format!("file://{}", path.display()), view);
    }

    /// Opens the page at `url`, on this machine, as it looks in `view` to a reader of `language`.
    pub(crate) fn go(&self, url: &str, view: View, language: &str) {
        let agent = json!({"userAgent": "a browser of a test", "acceptLanguage": language});
        self.devtools("Emulation.setUserAgentOverride", agent);
        self.show(&format!("{}/", url.trim_end_matches('/')), view);
    }

    fn show(&self, url: &str, view: View) {
        let size =
            json!({"width": view.width, "height": 900, "deviceScaleFactor": 1, "mobile": false});
        self.devtools("Emulation.setDeviceMetricsOverride", size);
        let scheme = if view.is_dark { "dark" } else { "light" };
        let features = json!([{"name": "prefers-color-scheme", "value": scheme}]);
        self.devtools("Emulation.setEmulatedMedia", json!({"media": "", "features": features}));
        self.request(&format!("{}/url", self.session), json!({"url": url}));
        // On a busy machine the driver answers while the page is still parsed: rows without cells, no script yet.
        let began = Instant::now();
        while self.run("return [document.readyState, location.href];") != json!(["complete", url]) {
            assert!(began.elapsed() < Duration::from_secs(60), "{url} was not loaded");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Runs a function body in the page, and returns its result.
    pub(crate) fn run(&self, script: &str) -> Value {
        let body = json!({"script": script, "args": []});
        self.request(&format!("{}/execute/sync", self.session), body)
    }

    /// Runs a function body in the page, whose last argument is a function that takes the result.
    pub(crate) fn run_async(&self, script: &str) -> Value {
        let body = json!({"script": script, "args": []});
        self.request(&format!("{}/execute/async", self.session), body)
    }

    /// Waits until an expression is true in the page, and shows its text if that takes longer than a minute.
    pub(crate) fn until(&self, expression: &str) {
        let began = Instant::now();
        while self.run(&format!("return !!({expression});")) != json!(true) {
            let text = || self.run("return document.body.innerText;");
            assert!(began.elapsed() < Duration::from_secs(60), "never: {expression}\n{}", text());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Goes into the frame that a function body returns; from then on, scripts run there. [`Self::leave`] goes back.
    pub(crate) fn enter(&self, script: &str) {
        let body = json!({"id": self.run(script)});
        self.request(&format!("{}/frame", self.session), body);
    }

    /// Goes back to the page around all frames.
    pub(crate) fn leave(&self) {
        self.request(&format!("{}/frame", self.session), json!({"id": null}));
    }

    /// Inserts a text at the cursor, as a keyboard does.
    pub(crate) fn insert(&self, text: &str) {
        self.devtools("Input.insertText", json!({"text": text}));
    }

    /// Presses and releases a key, by its name and its number.
    pub(crate) fn press(&self, key: &str, number: u32) {
        let mut stroke = json!({"key": key, "code": key, "windowsVirtualKeyCode": number});
        if key == "Enter" {
            stroke["text"] = json!("\r");
        }
        for kind in ["keyDown", "keyUp"] {
            stroke["type"] = json!(kind);
            self.devtools("Input.dispatchKeyEvent", stroke.clone());
        }
    }

    /// Takes the network away from the page, or gives it back.
    pub(crate) fn offline(&self, is_offline: bool) {
        let conditions = json!({
            "offline": is_offline, "latency": 0, "downloadThroughput": -1, "uploadThroughput": -1,
        });
        self.devtools("Network.emulateNetworkConditions", conditions);
    }

    /// Returns the new lines of the console: errors, warnings, refusals by the policy of the page.
    pub(crate) fn console(&self) -> Vec<String> {
        let output = self.request(&format!("{}/se/log", self.session), json!({"type": "browser"}));
        output.as_array().unwrap().iter().map(Value::to_string).collect()
    }

    /// Returns the whole page as a PNG file, in base 64.
    pub(crate) fn screenshot(&self) -> String {
        let size = self.run(
            "const page = document.documentElement; return [page.scrollWidth, page.scrollHeight];",
        );
        let clip = json!({"x": 0, "y": 0, "width": size[0], "height": size[1], "scale": 1});
        let parameters = json!({"captureBeyondViewport": true, "clip": clip});
        self.devtools("Page.captureScreenshot", parameters)["data"].as_str().unwrap().to_owned()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let group = format!("-{}", self.driver.id());
        let _ = Command::new("kill").args(["-KILL", "--", &group]).status();
        let _ = self.driver.wait();
    }
}
