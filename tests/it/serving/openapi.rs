//! The admin API against its OpenAPI document: schemathesis makes requests from it, good and bad ones, and checks the answers.

use super::{
    http, plan,
    server_process::{PROCESS_TOKEN, Server, folder_with_registry},
};
use crate::support::{clean, report_skip, terminal, tool};
use std::{
    fs,
    net::{Ipv4Addr, SocketAddr},
    process::Command,
    time::Duration,
};
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpSocket},
};

/// The settings of schemathesis.
///
/// A request that fits the document may be refused with 412, because the revision is another one, and with 422, because a value
/// of its body cannot be used or its key belongs to another request: schemas cannot say when. Waits are left out, because an
/// open rollout would be waited for.
const SETTINGS: &str = "[checks]
positive_data_acceptance.expected-statuses = [\"2xx\", \"401\", \"403\", \"404\", \"409\", \"412\", \"422\"]
[parameters]
\"query.wait\" = \"0s\"
";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn schemathesis_finds_nothing_in_the_admin_api() {
    let name = "schemathesis_finds_nothing_in_the_admin_api";
    let Some(schemathesis) = tool("BOTOPS_SCHEMATHESIS", "schemathesis") else {
        return report_skip(name, "schemathesis (from PyPI)");
    };
    let folder = folder_with_registry().await;
    let server = Server::start(folder.path());
    // A rollout that is over, as `latest`.
    let client = server.admin();
    client.start("support", "support@2", &plan(50.0, 100), "ada", "try it").await.unwrap();
    client.command("support", "rollback", "ada", "enough").await.unwrap();

    let url = from_many_addresses(server.admin_url()).await;
    let document = format!("{url}/admin/v1/openapi.json");
    let served = http().get(document).bearer_auth(PROCESS_TOKEN).send().await.unwrap();
    let served = served.text().await.unwrap();
    assert_eq!(served, botops_serving::admin_openapi());
    fs::write(folder.path().join("openapi.json"), served).unwrap();
    fs::write(folder.path().join("schemathesis.toml"), SETTINGS).unwrap();
    let mut command = Command::new(schemathesis);
    clean(&mut command, folder.path()).current_dir(folder.path()).env("NO_COLOR", "1");
    command.args(["--config-file", "schemathesis.toml", "run", "openapi.json", "--url", &url]);
    command.arg("--header").arg(format!("Authorization: Bearer {PROCESS_TOKEN}"));
    command.args(["--header", "Connection: close", "--checks", "all", "--seed", "1"]);
    command.args(["--max-examples", "10", "--workers", "1", "--continue-on-failure"]);
    command.args(["--request-timeout", "30", "--no-shrink", "--warnings", "off"]);
    let run = move || terminal(&mut command, Duration::from_secs(240));
    let (code, text) = tokio::task::spawn_blocking(run).await.unwrap();
    assert_eq!(code, Some(0), "{text}");
    let tested =
        format!("Tested: {}", botops_serving::admin_openapi().matches("operationId").count());
    assert!(text.contains(&tested), "{text}");
    // It still answers.
    client.rollout("support", None).await.unwrap();
}

/// Forwards a port to the server at `url`, each connection from another address of this machine where the system has more than
/// one: the server answers the failed logins of one address later and later.
async fn from_many_addresses(url: &str) -> String {
    let to: SocketAddr = url.trim_start_matches("http://").parse().unwrap();
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        for n in 0_u32.. {
            let Ok((mut client, _)) = listener.accept().await else { return };
            tokio::spawn(async move {
                let socket = TcpSocket::new_v4().unwrap();
                let [_, _, high, low] = n.to_be_bytes();
                let _ = socket.bind((Ipv4Addr::new(127, 1, high, low | 1), 0).into());
                let Ok(mut server) = socket.connect(to).await else { return };
                let _ = copy_bidirectional(&mut client, &mut server).await;
            });
        }
    });
    format!("http://{address}")
}
