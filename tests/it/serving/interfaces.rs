//! The public API as other programs call it: schemathesis by its document, and the client of Triton by its protocol.

use super::{model, unchanged};
use crate::support::{clean, program, report_skip, terminal, tool};
use std::{
    fs,
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

/// The settings of schemathesis. A request that fits the document may be refused: its text may be too long, its model may be
/// another one, and `/v1/ws` speaks WebSocket.
const SETTINGS: &str = "[checks]
positive_data_acceptance.expected-statuses = [\"2xx\", \"403\", \"404\", \"409\", \"415\", \"422\", \"426\"]
";

/// `botops serve` with a model file, in a process of its own.
struct Server {
    process: Child,
    url: String,
}

impl Server {
    fn start(folder: &Path) -> Self {
        fs::write(folder.join("support.botops"), model(160, 1, unchanged).to_bytes()).unwrap();
        fs::write(
            folder.join("botops.yaml"),
            "server: {metrics: open, chat_page: true, cors: {origins: ['https://shop.example']}}\n",
        )
        .unwrap();
        let mut command = Command::new(program());
        clean(&mut command, folder).current_dir(folder).stderr(Stdio::piped());
        command.args(["serve", "support.botops", "--listen", "127.0.0.1:0"]);
        let mut process = command.spawn().unwrap();
        let mut stderr = BufReader::new(process.stderr.take().unwrap());
        let mut said = String::new();
        let url = loop {
            assert!(stderr.read_line(&mut said).unwrap() > 0, "it ended: {said}");
            if let Some((_, rest)) = said.split_once("http://")
                && let Some((address, _)) = rest.split_once([' ', '\n', ','])
            {
                break format!("http://{}", address.trim_end_matches('/'));
            }
        };
        // Its standard error stays open as long as it runs.
        std::thread::spawn(move || std::io::copy(&mut stderr, &mut std::io::sink()));
        Self { process, url }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[test]
fn schemathesis_finds_nothing_in_the_public_api() {
    let name = "schemathesis_finds_nothing_in_the_public_api";
    let Some(schemathesis) = tool("BOTOPS_SCHEMATHESIS", "schemathesis") else {
        return report_skip(name, "schemathesis (from PyPI)");
    };
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    fs::write(folder.path().join("openapi.json"), botops_serving::public_openapi()).unwrap();
    fs::write(folder.path().join("schemathesis.toml"), SETTINGS).unwrap();
    let mut command = Command::new(schemathesis);
    clean(&mut command, folder.path()).current_dir(folder.path()).env("NO_COLOR", "1");
    command.args([
        "--config-file",
        "schemathesis.toml",
        "run",
        "openapi.json",
        "--url",
        &server.url,
    ]);
    command.args(["--header", "Connection: close", "--checks", "all", "--seed", "1"]);
    command.args(["--max-examples", "10", "--workers", "1", "--continue-on-failure"]);
    command.args(["--request-timeout", "30", "--no-shrink", "--warnings", "off"]);
    let (code, text) = terminal(&mut command, Duration::from_secs(240));
    assert_eq!(code, Some(0), "{text}");
    let tested =
        format!("Tested: {}", botops_serving::public_openapi().matches("operationId").count());
    assert!(text.contains(&tested), "{text}");
}

/// Calls a server as a client of Triton does: with tensors as JSON, as bytes, and packed.
const TRITON: &str = r#"
import json, sys
import numpy
import tritonclient.http as triton
from tritonclient.utils import InferenceServerException

client = triton.InferenceServerClient(sys.argv[1])
assert client.is_server_live() and client.is_server_ready() and client.is_model_ready("support.botops")
assert client.get_server_metadata()["name"] == "botops"
metadata = client.get_model_metadata("support.botops")
assert [one["name"] for one in metadata["inputs"]] == ["text"], metadata
intents = metadata["parameters"]["intents"]
texts = ["my parcel delivery tracking", "réinitialiser password login account"]

def infer(texts, is_binary, outputs=None, **more):
    tensor = triton.InferInput("text", [len(texts)], "BYTES")
    tensor.set_data_from_numpy(numpy.array(texts, dtype=object), binary_data=is_binary)
    return client.infer("support.botops", [tensor], outputs=outputs, **more)

wanted = lambda is_binary: [
    triton.InferRequestedOutput(name, binary_data=is_binary)
    for name in ["intent", "confidence", "fallback", "probabilities"]
]
found = []
for is_binary in [False, True]:
    for packed in [None, "gzip"]:
        result = infer(texts, is_binary, wanted(is_binary), request_id="7", request_compression_algorithm=packed)
        names = [name.decode() if isinstance(name, bytes) else name for name in result.as_numpy("intent")]
        confidence, proba = result.as_numpy("confidence"), result.as_numpy("probabilities")
        assert proba.shape == (2, len(intents)) and confidence.dtype == numpy.float64
        assert numpy.allclose(proba.sum(axis=1), 1) and list(proba.max(axis=1)) == list(confidence)
        assert [intents[i] for i in proba.argmax(axis=1)] == names
        assert result.get_response()["id"] == "7"
        found.append((names, list(confidence), list(result.as_numpy("fallback"))))
assert all(one == found[0] for one in found), found
# Without names of outputs, the client wants all as bytes.
assert list(infer(texts, True).as_numpy("confidence")) == found[0][1]
for wrong in [
    lambda: client.get_model_metadata("other"),
    lambda: client.is_model_ready("support.botops", "9") or client.get_model_metadata("support.botops", "9"),
    lambda: infer([""], True),
    lambda: infer(texts, True, [triton.InferRequestedOutput("intent", class_count=2)]),
    lambda: infer(texts, True, sequence_id=3),
]:
    try:
        wrong()
        sys.exit("it was answered")
    except InferenceServerException as error:
        assert error.message() and "decoding" not in error.message(), error
print(json.dumps(found[0][:2]))
"#;

#[test]
fn the_client_of_triton_gets_the_predictions_of_the_model() {
    let name = "the_client_of_triton_gets_the_predictions_of_the_model";
    let Some(python) = tool("BOTOPS_TRITON_PYTHON", "python3-with-tritonclient") else {
        return report_skip(name, "tritonclient[http] (from PyPI)");
    };
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    fs::write(folder.path().join("triton.py"), TRITON).unwrap();
    let mut command = Command::new(python);
    clean(&mut command, folder.path()).current_dir(folder.path());
    command.arg("triton.py").arg(server.url.trim_start_matches("http://"));
    let output = command.output().unwrap();
    let (said, error) = (&output.stdout, String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{error}");
    let (names, confidence): (Vec<String>, Vec<f64>) = serde_json::from_slice(said).unwrap();
    let model = model(160, 1, unchanged);
    let texts = ["my parcel delivery tracking", "réinitialiser password login account"];
    for (i, text) in texts.into_iter().enumerate() {
        let expected = model.predict(text);
        assert_eq!(names[i], model.labels().name(expected.intent));
        assert_eq!(confidence[i], expected.confidence, "to the last bit: {text}");
    }
}
