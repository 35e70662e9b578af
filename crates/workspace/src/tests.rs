use super::*;
use botops_findings::FaultKind;
use std::{collections::BTreeMap, fs, path::Path};

const FILE: &str = "version: 1
model: support
registry: stores/registry
server:
  admin_url: http://127.0.0.1:8081
  admin_token: ${env:TOKEN}
actor: steward
profiles:
  staging:
    registry: s3://bots/staging
    server:
      admin_url: https://staging.example.com/
  broken:
    server: {admin_url: staging}
";

fn folder(file: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join(FILE_NAME), file).unwrap();
    folder
}

fn overrides(
    profile: Option<&str>,
    flags: &[(&'static str, &str)],
    environment: &[(&str, &str)],
) -> Overrides {
    Overrides {
        profile: profile.map(str::to_owned),
        flags: flags.iter().map(|&(name, value)| (name, value.to_owned())).collect(),
        environment: environment.iter().map(|&(k, v)| (k.to_owned(), v.to_owned())).collect(),
    }
}

fn token(found: &Workspace) -> Option<Secret> {
    found.admin_token.value.resolve().unwrap()
}

#[test]
fn a_file_belongs_to_the_workspace_around_it_and_flags_start_at_the_current_folder() {
    let outer = folder("model: outer\nregistry: r\n");
    let path = |name: &str| outer.path().join(name);
    fs::create_dir_all(path("sub/pipelines")).unwrap();
    fs::create_dir_all(path("other")).unwrap();
    fs::write(path("sub").join(FILE_NAME), "model: inner\nregistry: r\n").unwrap();
    let of = |file: &str, start: &str, flags: &[(&'static str, &str)]| {
        let found = Workspace::discover_of_file(
            Path::new(file),
            &path(start),
            &overrides(None, flags, &[]),
        );
        let found = found.unwrap();
        (found.root, found.model.value.unwrap(), found.registry.value)
    };
    let inner = (path("sub"), "inner".to_owned(), path("sub/r").display().to_string());
    assert_eq!(of("sub/pipelines/weekly.yaml", ".", &[]), inner);
    assert_eq!(of("../sub/pipelines/weekly.yaml", "other", &[]), inner);
    assert_eq!(of("pipelines/weekly.yaml", "sub", &[]), inner);
    let flagged = of("../sub/pipelines/weekly.yaml", "other", &[("registry", "mine")]);
    assert_eq!(flagged.2, path("other/mine").display().to_string());
    assert_eq!(of("p.yaml", ".", &[]).1, "outer");
    // A pipeline outside every workspace runs in the current one.
    let outside = tempfile::tempdir().unwrap();
    let file = outside.path().join("p.yaml");
    assert_eq!(of(file.to_str().unwrap(), "sub", &[]), inner);
}

#[test]
fn a_flag_precedes_the_environment_the_profile_and_the_file() {
    let folder = folder(FILE);
    let path = |name: &str| folder.path().join(name).display().to_string();
    let token = ("TOKEN", "t0p");
    let registry = |profile, flags: &[(&'static str, &str)], env: &[(&str, &str)]| {
        let env: Vec<_> = env.iter().copied().chain([token]).collect();
        let found = Workspace::discover(folder.path(), &overrides(profile, flags, &env)).unwrap();
        (found.registry.value, found.registry.origin)
    };
    assert_eq!(
        registry(None, &[], &[]),
        (path("stores/registry"), Origin::File("botops.yaml:3".to_owned()))
    );
    assert_eq!(
        registry(Some("staging"), &[], &[]),
        ("s3://bots/staging".to_owned(), Origin::Profile("staging".to_owned()))
    );
    assert_eq!(
        registry(Some("staging"), &[], &[("BOTOPS_REGISTRY", "file:///srv/r")]),
        ("file:///srv/r".to_owned(), Origin::Environment("BOTOPS_REGISTRY".to_owned()))
    );
    assert_eq!(
        registry(Some("staging"), &[("registry", "r")], &[("BOTOPS_REGISTRY", "x")]),
        (path("r"), Origin::Flag("--registry".to_owned()))
    );
    // An empty variable, which CI sets for a missing secret, counts as not set.
    assert_eq!(registry(None, &[], &[("BOTOPS_REGISTRY", "")]).0, path("stores/registry"));
    assert_eq!(registry(None, &[], &[("BOTOPS_PROFILE", "staging")]).0, "s3://bots/staging");
}

#[test]
fn without_a_file_every_setting_has_its_default() {
    let folder = tempfile::tempdir().unwrap();
    let found =
        Workspace::discover(folder.path(), &overrides(None, &[], &[("USER", "ada")])).unwrap();
    assert_eq!(found.root, folder.path());
    assert_eq!(found.registry.value, folder.path().join("registry").display().to_string());
    assert_eq!(found.registry.origin, Origin::Default);
    assert_eq!((found.model.value.clone(), found.model.origin.clone()), (None, Origin::Default));
    assert!(
        !found.admin_token.value.is_set()
            && token(&found).is_none()
            && found.admin_url.value.is_none()
    );
    assert_eq!(found.actor.value, "ada");
    let found = Workspace::discover(folder.path(), &Overrides::default()).unwrap();
    assert_eq!(found.actor.value, "unknown");
}

#[test]
fn the_file_is_found_in_a_folder_above_and_its_paths_start_there() {
    let folder = folder("registry: ./x/../r\nexperiments: s3://bots/runs\n");
    let below = folder.path().join("a/b");
    fs::create_dir_all(&below).unwrap();
    let found = Workspace::discover(&below, &overrides(None, &[("model", "m")], &[])).unwrap();
    assert_eq!(found.root, folder.path());
    assert_eq!(found.registry.value, folder.path().join("r").display().to_string());
    assert_eq!(found.experiments.value, "s3://bots/runs");
    // The path of a flag starts at the current folder.
    let flag = overrides(None, &[("registry", "../r")], &[]);
    let found = Workspace::discover(&below, &flag).unwrap();
    assert_eq!(found.registry.value, folder.path().join("a/r").display().to_string());
}

#[test]
fn a_secret_is_read_by_reference_and_never_printed() {
    let folder = folder(FILE);
    let found =
        Workspace::discover(folder.path(), &overrides(None, &[], &[("TOKEN", "t0psecret")]))
            .unwrap();
    assert_eq!(token(&found).unwrap().expose(), "t0psecret");
    let shown = format!("{found:?} {}", serde_json::to_string(&found).unwrap());
    assert!(!shown.contains("t0psecret"), "{shown}");

    let unset = Workspace::discover(folder.path(), &Overrides::default()).unwrap();
    assert!(unset.admin_token.value.is_set());
    let missing = unset.admin_token.value.resolve().unwrap_err();
    assert_eq!((missing.code(), missing.kind()), ("BOT-1021", FaultKind::Usage));
    assert!(missing.message().contains("`TOKEN`"), "{missing}");
    assert_eq!(missing.place().line, Some(6));
    // The environment variable precedes the file.
    let direct = overrides(None, &[], &[("BOTOPS_ADMIN_TOKEN", "other")]);
    let found = Workspace::discover(folder.path(), &direct).unwrap();
    assert_eq!(token(&found).unwrap().expose(), "other");
    // A token of blanks is not an unset variable; the server refuses it.
    for (set, used) in [("", Some("t0psecret")), ("   ", Some("   "))] {
        let both = overrides(None, &[], &[("BOTOPS_ADMIN_TOKEN", set), ("TOKEN", "t0psecret")]);
        let found = Workspace::discover(folder.path(), &both).unwrap();
        assert_eq!(token(&found).as_ref().map(Secret::expose), used, "{set:?}");
    }

    fs::write(folder.path().join(FILE_NAME), "server: {admin_token: '${file:token}'}\n").unwrap();
    fs::write(folder.path().join("token"), "from-file\n").unwrap();
    let found = Workspace::discover(folder.path(), &Overrides::default()).unwrap();
    assert_eq!(token(&found).unwrap().expose(), "from-file");

    for written in ["hunter2", "${env}", "${vault:x}", "$TOKEN"] {
        let yaml = format!("server: {{admin_token: '{written}'}}\n");
        fs::write(folder.path().join(FILE_NAME), yaml).unwrap();
        let fault = Workspace::discover(folder.path(), &Overrides::default()).unwrap_err();
        assert_eq!(fault.code(), "BOT-1021", "{written}");
        let report = format!("{fault} {:?}", fault.hints());
        assert!(!report.contains("hunter2"), "{report}");
    }
    // A file is read when the secret is needed.
    fs::write(folder.path().join(FILE_NAME), "server: {admin_token: '${file:nowhere}'}\n").unwrap();
    let found = Workspace::discover(folder.path(), &Overrides::default()).unwrap();
    assert_eq!(found.admin_token.value.resolve().unwrap_err().code(), "BOT-1021");
}

#[test]
fn a_line_break_at_the_end_is_not_part_of_a_secret_wherever_it_comes_from() {
    let folder = folder(FILE);
    fs::write(folder.path().join("token"), "t0psecret\n").unwrap();
    let by_file = "server: {admin_token: '${file:token}'}\n";
    for (yaml, variable) in [
        ("version: 1\n", ("BOTOPS_ADMIN_TOKEN", "t0psecret\n")),
        ("version: 1\n", ("BOTOPS_ADMIN_TOKEN", "t0psecret\r\n")),
        (FILE, ("TOKEN", "t0psecret\n")),
        (by_file, ("TOKEN", "")),
    ] {
        fs::write(folder.path().join(FILE_NAME), yaml).unwrap();
        let found = Workspace::discover(folder.path(), &overrides(None, &[], &[variable])).unwrap();
        assert_eq!(token(&found).unwrap().expose(), "t0psecret", "{yaml}");
    }
}

#[test]
fn faults_in_the_file_name_the_line_and_the_nearest_name() {
    for (yaml, code, line, hint) in [
        ("version: 1\nregistri: x\n", "BOT-1011", 2, "did you mean `registry`?"),
        ("profiles:\n  a:\n    modl: x\n", "BOT-1011", 3, "did you mean `model`?"),
        ("server:\n  admin_ulr: x\n", "BOT-1011", 2, "did you mean `admin_url`?"),
        ("version: one\n", "BOT-1012", 1, ""),
        ("model: a\nserver:\n  url: localhost:8080\n", "BOT-1022", 3, "write it as"),
        ("server:\n  admin_url: http://a:pass@h/\n", "BOT-1022", 2, "write it as"),
        ("server:\n  admin_url: unix://run/a.sock\n", "BOT-1022", 2, "write it as"),
        ("server:\n  url: unix:///run/a.sock\n", "BOT-1022", 2, "write it as"),
        (
            "server:\n  admin_oidc:\n  - {issuer: a, audiense: b}\n",
            "BOT-1011",
            3,
            "did you mean `audience`?",
        ),
    ] {
        let folder = folder(yaml);
        let fault = Workspace::discover(folder.path(), &Overrides::default()).unwrap_err();
        assert_eq!((fault.code(), fault.place().line), (code, Some(line)), "{yaml}");
        assert!(fault.hints().join(" ").contains(hint), "{yaml}: {:?}", fault.hints());
        assert!(!fault.message().contains("pass@"), "{fault}");
    }
}

#[test]
fn a_newer_file_is_refused() {
    let folder = folder("new: {}\nversion: 2\n");
    let fault = Workspace::discover(folder.path(), &Overrides::default()).unwrap_err();
    assert_eq!((fault.code(), fault.kind()), ("BOT-1015", FaultKind::Policy));
}

#[test]
fn the_fault_for_an_unknown_profile_names_the_nearest() {
    let folder = folder(FILE);
    let env = [("TOKEN", "t")];
    let of = |name| Workspace::discover(folder.path(), &overrides(Some(name), &[], &env));
    let fault = of("stagin").unwrap_err();
    assert_eq!((fault.code(), fault.kind()), ("BOT-1020", FaultKind::Usage));
    assert_eq!(fault.hints(), ["did you mean `staging`?"]);
    assert!(of("production").unwrap_err().hints()[0].contains("`broken`, `staging`"));
    let fault = of("broken").unwrap_err();
    assert_eq!(fault.code(), "BOT-1022");
    assert_eq!(fault.place().key.as_deref(), Some("profiles.broken.server.admin_url"));
    assert_eq!(fault.place().line, Some(14));
    let nowhere = tempfile::tempdir().unwrap();
    let environment: BTreeMap<_, _> = [("BOTOPS_PROFILE".to_owned(), "x".to_owned())].into();
    let selected = Overrides { environment, ..Overrides::default() };
    assert_eq!(Workspace::discover(nowhere.path(), &selected).unwrap_err().code(), "BOT-1020");
}

#[test]
fn who_may_call_the_admin_api_is_a_setting_of_the_file_or_the_profile() {
    let yaml = "server:
  admin_url: unix:///run/botops/admin.sock
  admin_socket: run/admin.sock
  admin_socket_users: {deploy: operator}
  admin_oidc:
  - {issuer: 'https://a.example', audience: botops, jwks: keys.json, roles: {sre: admin}}
profiles:
  staging:
    server: {admin_socket: /tmp/s.sock, admin_socket_users: {'uid:7': viewer}}
";
    let folder = folder(yaml);
    let of = |profile, env: &[(&str, &str)]| {
        Workspace::discover(folder.path(), &overrides(profile, &[], env)).unwrap()
    };
    let found = of(None, &[]);
    let socket = folder.path().join("run/admin.sock").display().to_string();
    assert_eq!(found.admin_socket.value, Some(socket));
    assert_eq!(found.admin_url.value.as_deref(), Some("unix:///run/botops/admin.sock"));
    let [issuer] = found.admin_oidc.value.as_slice() else { panic!("{found:?}") };
    assert_eq!((issuer.claim.as_str(), issuer.roles["sre"].as_str()), ("groups", "admin"));
    assert_eq!(found.admin_oidc.origin.to_string(), "botops.yaml:5");
    let found = of(Some("staging"), &[]);
    assert_eq!(found.admin_socket.value.as_deref(), Some("/tmp/s.sock"));
    assert_eq!(found.admin_socket_users.value["uid:7"], "viewer");
    assert_eq!(found.admin_oidc.value.len(), 1, "that of the file");
    let found = of(None, &[("BOTOPS_ADMIN_SOCKET", "other.sock")]);
    let socket = folder.path().join("other.sock").display().to_string();
    assert_eq!(found.admin_socket.value, Some(socket));
}

#[test]
fn webhooks_have_secrets_by_reference() {
    let folder = tempfile::tempdir().unwrap();
    let read = |yaml: &str| {
        std::fs::write(folder.path().join("botops.yaml"), yaml).unwrap();
        let environment = [("HOOK".to_owned(), "s".repeat(24))].into();
        let overrides = Overrides { environment, ..Overrides::default() };
        Workspace::discover(folder.path(), &overrides)
    };
    let yaml = "server:
  webhooks:
  - url: https://a.example/hook
    secret: ${env:HOOK}
    second_secret: ${file:old.txt}
    events: [promoted]
  - { url: 'https://b.example', secret: '${env:MISSING}' }
";
    let webhooks = read(yaml).unwrap().webhooks;
    assert_eq!(webhooks.origin.to_string(), "botops.yaml:2");
    let [first, second] = webhooks.value.as_slice() else { panic!("{webhooks:?}") };
    assert_eq!(first.events, ["promoted"]);
    assert_eq!(first.secrets[0].resolve().unwrap().unwrap().expose(), "s".repeat(24));
    std::fs::write(folder.path().join("old.txt"), "old\n").unwrap();
    assert_eq!(first.secrets[1].resolve().unwrap().unwrap().expose(), "old");
    let fault = second.secrets[0].resolve().unwrap_err();
    assert_eq!(fault.code(), "BOT-1021");
    assert!(fault.message().contains("server.webhooks[1].secret"), "{fault}");
    let written = "server: {webhooks: [{url: 'https://a.example', secret: hunter2}]}";
    let fault = read(written).unwrap_err();
    assert_eq!(fault.code(), "BOT-1021");
    assert!(!format!("{fault:?}").contains("hunter2"), "{fault:?}");
    let fault = read("server: {webhooks: [{url: 'https://a.example'}]}").unwrap_err();
    assert!(fault.message().contains("secret"), "{fault}");
}

#[test]
fn limits_have_a_range_each_and_a_profile_replaces_one_at_a_time() {
    let folder = tempfile::tempdir().unwrap();
    let read = |yaml: &str, profile: Option<&str>| {
        std::fs::write(folder.path().join("botops.yaml"), yaml).unwrap();
        let profile = profile.map(str::to_owned);
        Workspace::discover(folder.path(), &Overrides { profile, ..Overrides::default() })
    };
    let yaml = "server:
  limits:
    connections: 500
    headers_timeout: 5s
profiles:
  edge:
    server: {limits: {connections: 9, streams: 7}, metrics: open, chat_page: true}
";
    let limits = read(yaml, None).unwrap().limits;
    assert_eq!((limits.connections.value, limits.streams.value), (Some(500), None));
    assert_eq!(limits.connections.origin.to_string(), "botops.yaml:3");
    assert_eq!(limits.headers_timeout.value, Some(std::time::Duration::from_secs(5)));
    assert_eq!(limits.headers_timeout.origin.to_string(), "botops.yaml:4");
    assert_eq!(limits.idle_timeout.origin, Origin::Default);
    let edge = read(yaml, Some("edge")).unwrap();
    assert_eq!((edge.limits.connections.value, edge.limits.streams.value), (Some(9), Some(7)));
    assert_eq!(edge.limits.headers_timeout.origin.to_string(), "botops.yaml:4");
    assert!(edge.open_metrics.value && !read(yaml, None).unwrap().open_metrics.value);
    assert!(edge.chat_page.value && !read(yaml, None).unwrap().chat_page.value);

    for (written, code, message) in [
        ("limits: {connections: 0}", "BOT-1088", "`server.limits.connections` is 0"),
        ("limits: {header_bytes: 100}", "BOT-1088", "from 8192 to 1048576"),
        ("limits: {uri_bytes: 70000}", "BOT-1088", "from 64 to 65534"),
        ("limits: {websocket_ping: 5ms}", "BOT-1088", "out of range"),
        ("limits: {websocket_idle: 2h}", "BOT-1088", "out of range"),
        ("limits: {batch_bytes: 1000}", "BOT-1088", "from 1024 to 1073741824"),
        ("limits: {batch_lines: 0}", "BOT-1088", "from 1 to 1000000"),
        ("limits: {batch_wait: soon}", "BOT-1088", "is not a duration"),
        ("limits: {idle_timeout: soon}", "BOT-1088", "is not a duration: `soon`"),
        ("limits: {idle_timeout: 0s}", "BOT-1088", "is out of range: `0s`"),
        ("limits: {request_timeout: 2h}", "BOT-1088", "is out of range: `2h`"),
        ("metrics: everyone", "BOT-1091", "`server.metrics` is `everyone`"),
        ("tls: {certificate: a, key: b, min_version: '1.1'}", "BOT-1090", "is `1.1`"),
    ] {
        let fault = read(&format!("server:\n  {written}\n"), None).unwrap_err();
        assert_eq!((fault.code(), fault.kind().exit_code()), (code, 2), "{written}: {fault}");
        assert!(fault.message().contains(message), "{written}: {fault}");
        assert_eq!(fault.place().line, Some(2), "{written}: {fault:?}");
    }
    let unknown = read("server:\n  limits: {conections: 5}\n", None).unwrap_err();
    assert!(unknown.hints().iter().any(|hint| hint.contains("connections")), "{unknown:?}");
}

#[test]
fn the_files_of_tls_start_at_the_folder_of_the_workspace() {
    let folder = tempfile::tempdir().unwrap();
    let read = |yaml: &str| {
        std::fs::write(folder.path().join("botops.yaml"), yaml).unwrap();
        Workspace::discover(folder.path(), &Overrides::default())
    };
    let yaml = "server:
  tls: {certificate: tls/server.pem, key: /run/secrets/server.key}
  admin_tls: {certificate: a.pem, key: a.key, min_version: 1.3}
";
    let found = read(yaml).unwrap();
    let tls = found.tls.value.unwrap();
    let root = folder.path().canonicalize().unwrap();
    assert_eq!(
        root.join("tls/server.pem"),
        root.join(tls.certificate.strip_prefix(folder.path()).unwrap())
    );
    assert_eq!(tls.key, std::path::Path::new("/run/secrets/server.key"));
    assert!(!tls.needs_1_3 && found.admin_tls.value.unwrap().needs_1_3);
    assert_eq!(found.tls.origin.to_string(), "botops.yaml:2");
    let fault = read("server: {tls: {certificate: a}}").unwrap_err();
    assert!(fault.message().contains("key"), "{fault}");
    assert!(read("").unwrap().tls.value.is_none());
}

#[test]
fn access_is_a_word_or_a_block() {
    let variables = [("JWT_SECRET", "a secret of the shop, shared by its servers")];
    let read = |yaml: &str, more: &[(&str, &str)]| {
        let folder = folder(yaml);
        let variables: Vec<_> = variables.iter().chain(more).copied().collect();
        Workspace::discover(folder.path(), &overrides(None, &[], &variables))
    };
    let of = |yaml: &str| read(yaml, &[]).unwrap().access;
    assert!(matches!(of("model: a\n").value, PublicAccess::Undecided));
    let open = of("model: a\naccess: open\n");
    assert!(matches!(open.value, PublicAccess::Open));
    assert_eq!(open.origin.to_string(), "botops.yaml:2");
    for yaml in ["access: keys\n", "access: {keys: true}\n", "access: {}\n"] {
        let PublicAccess::Restricted { keys: true, jwt } = of(yaml).value else { panic!("{yaml}") };
        assert!(jwt.is_empty(), "{yaml}");
    }
    let yaml = "access:
  keys: false
  jwt:
    - {issuer: https://a.example, audience: botops, jwks: keys.json, algorithms: [ES256], scopes: [chat]}
    - {issuer: shop, audience: botops, secret: '${env:JWT_SECRET}', leeway: 5s}
";
    let PublicAccess::Restricted { keys: false, jwt } = of(yaml).value else { panic!() };
    let [(first, none), (second, secret)] = jwt.as_slice() else { panic!("{jwt:?}") };
    assert_eq!((first.leeway.as_str(), first.claim.as_str()), ("60s", "scope"));
    assert!(!none.is_set());
    assert_eq!(secret.resolve().unwrap().unwrap().expose(), variables[0].1);
    assert_eq!((second.leeway.as_str(), second.scopes.len()), ("5s", 0));
    let variable = read(yaml, &[("BOTOPS_ACCESS", "open")]).unwrap().access;
    assert!(matches!(variable.value, PublicAccess::Open));
    assert_eq!(variable.origin.to_string(), "$BOTOPS_ACCESS");
}

#[test]
fn a_mistake_in_access_is_named_with_the_nearest_key() {
    let read = |yaml: &str, variables: &[(&str, &str)]| {
        let folder = folder(yaml);
        Workspace::discover(folder.path(), &overrides(None, &[], variables)).unwrap_err()
    };
    let issuer = "issuer: a, audience: b";
    for (yaml, code, words) in [
        ("access: opne".to_owned(), "BOT-1012", "open"),
        ("access: 7".to_owned(), "BOT-1012", "access"),
        ("access: {kyes: true}".to_owned(), "BOT-1011", "keys"),
        (format!("access: {{jwt: [{{{issuer}, jwsk: a}}]}}"), "BOT-1011", "jwks"),
        (format!("access: {{jwt: [{{{issuer}}}]}}"), "BOT-1012", "neither"),
        (format!("access: {{jwt: [{{{issuer}, jwks: a, secret: b}}]}}"), "BOT-1012", "both"),
        (format!("access: {{jwt: [{{{issuer}, secret: hunter2}}]}}"), "BOT-1021", "access.jwt[0]"),
    ] {
        let fault = read(&yaml, &[]);
        let said = format!("{fault} {:?}", fault.hints());
        assert_eq!((fault.code(), fault.kind()), (code, FaultKind::Usage), "{yaml}: {said}");
        assert!(said.contains(words) && !said.contains("hunter2"), "{yaml}: {said}");
    }
    let fault = read("model: a\n", &[("BOTOPS_ACCESS", "opne")]);
    assert_eq!(fault.code(), "BOT-1012");
}

#[test]
fn the_protection_of_a_server_is_a_setting_of_the_file_or_the_profile() {
    let yaml = "server:
  trusted_proxies: [10.0.0.0/8]
  allowed_hosts: [bots.example]
  cors: {origins: ['https://shop.example']}
limits:
  per_key: 50/s
  per_address: 'off'
  routes:
    feedback: {per_caller: 5/m, max_body: 4KiB}
  max_texts: 10
profiles:
  staging:
    limits: {per_key: 5/s, shared: 'redis://127.0.0.1:6379'}
  other:
    limits: {shared: '${env:SHARED}'}
";
    let folder = folder(yaml);
    let of = |profile, env: &[(&str, &str)]| {
        Workspace::discover(folder.path(), &overrides(profile, &[], env)).unwrap()
    };
    let found = of(None, &[]);
    let limits = &found.request_limits;
    assert_eq!(limits.per_key.value.as_deref(), Some("50/s"));
    assert_eq!(limits.per_key.origin.to_string(), "botops.yaml:6");
    assert_eq!(limits.per_address.value.as_deref(), Some("off"));
    assert_eq!(limits.per_conversation.origin, Origin::Default);
    assert_eq!(limits.routes.value["feedback"].max_body.as_deref(), Some("4KiB"));
    assert_eq!(limits.max_texts.value, Some(10));
    assert!(!limits.shared.value.is_set());
    assert_eq!(found.trusted_proxies.value, ["10.0.0.0/8"]);
    assert_eq!(found.allowed_hosts.origin.to_string(), "botops.yaml:3");
    assert_eq!(found.cors_origins.value, ["https://shop.example"]);
    let staging = of(Some("staging"), &[]).request_limits;
    assert_eq!(staging.per_key.origin.to_string(), "profile staging");
    assert_eq!(staging.max_texts.value, Some(10), "that of the file");
    let location = |limits: &RequestLimits| {
        limits.shared.value.resolve().unwrap().map(|secret| secret.expose().to_owned())
    };
    assert_eq!(location(&staging).as_deref(), Some("redis://127.0.0.1:6379"));
    let other = of(Some("other"), &[("SHARED", "redis://:secret@a")]).request_limits;
    assert_eq!(location(&other).as_deref(), Some("redis://:secret@a"));
    let given = of(None, &[("BOTOPS_LIMITS_SHARED", "redis://b")]).request_limits;
    assert_eq!(given.shared.origin.to_string(), "$BOTOPS_LIMITS_SHARED");
}

#[test]
fn a_password_in_the_file_is_refused_and_not_shown() {
    let folder = folder("limits:\n  shared: redis://:secret@127.0.0.1\n");
    let fault = Workspace::discover(folder.path(), &Overrides::default()).unwrap_err();
    assert_eq!((fault.code(), fault.place().line), ("BOT-1021", Some(2)));
    assert!(!format!("{fault:?}").contains("secret@"), "{fault:?}");
}

#[test]
fn the_store_of_conversations_is_a_place_or_a_reference_without_a_password_in_the_file() {
    let written = |store: &str| {
        let folder = folder(&format!("conversations: {{store: '{store}', retention: 7d}}\n"));
        let overrides = overrides(None, &[], &[("CHAT_URL", "postgres://bot:hunter2@db/chat")]);
        let found = Workspace::discover(folder.path(), &overrides);
        let root = folder.path().to_owned();
        found.map(|found| (root, found))
    };
    let store = |found: &Workspace| {
        found.conversations_store.value.resolve().unwrap().unwrap().expose().to_owned()
    };
    let (root, found) = written("chats").unwrap();
    assert_eq!(store(&found), root.join("chats").display().to_string());
    assert_eq!(found.conversations_retention.value, "7d");
    assert_eq!(found.on_store_failure.value, "refuse");
    assert_eq!(found.conversations_store.origin, Origin::File("botops.yaml:1".to_owned()));
    for url in ["postgres://bot@db/chat", "redis://cache:6379/0", "memory"] {
        assert_eq!(store(&written(url).unwrap().1), url);
    }
    let (_, found) = written("${env:CHAT_URL}").unwrap();
    assert_eq!(store(&found), "postgres://bot:hunter2@db/chat");
    assert!(!format!("{found:?}").contains("hunter2"));
    for secret in ["postgres://bot:hunter2@db/chat", "postgres://db/chat?password=hunter2"] {
        let fault = written(secret).unwrap_err();
        assert_eq!(fault.code(), "BOT-1021");
        assert!(!format!("{fault:?}").contains("hunter2"));
    }
    let empty = folder("{}\n");
    let overrides = overrides(None, &[], &[("BOTOPS_CONVERSATIONS", "redis://:hunter2@cache/0")]);
    let found = Workspace::discover(empty.path(), &overrides).unwrap();
    assert_eq!(store(&found), "redis://:hunter2@cache/0");
    let found = Workspace::discover(empty.path(), &Overrides::default()).unwrap();
    assert_eq!(store(&found), empty.path().join(".botops/conversations").display().to_string());
    assert!(!found.data_key.value.is_set(), "a data key is never made");
}
