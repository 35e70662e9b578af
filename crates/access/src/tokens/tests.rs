//! Tokens of an issuer, and hostile ones.

use super::{key_set, *};
use crate::{Role, Scope};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use ring::{
    rand::SystemRandom,
    rsa::PublicKeyComponents,
    signature::{
        ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _,
        RSA_PKCS1_SHA256, RsaKeyPair,
    },
};
use serde_json::{Value, json};
use std::{
    io::{Read as _, Write as _},
    net::TcpListener,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

const ISSUER: &str = "https://login.example.com";
/// The time of the tests, in seconds since 1970.
const NOW: i64 = 1_800_000_000;

/// The private keys of the issuer. The key of RSA is of this test alone.
struct Signer {
    rsa: RsaKeyPair,
    p256: EcdsaKeyPair,
    ed25519: Ed25519KeyPair,
}

fn encode(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

impl Signer {
    fn new() -> Self {
        let random = SystemRandom::new();
        let p256 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random);
        let ed25519 = Ed25519KeyPair::generate_pkcs8(&random).unwrap();
        Self {
            rsa: RsaKeyPair::from_pkcs8(
                &URL_SAFE_NO_PAD.decode(include_str!("rsa_test_key.txt")).unwrap(),
            )
            .unwrap(),
            p256: EcdsaKeyPair::from_pkcs8(
                &ECDSA_P256_SHA256_FIXED_SIGNING,
                p256.unwrap().as_ref(),
                &random,
            )
            .unwrap(),
            ed25519: Ed25519KeyPair::from_pkcs8(ed25519.as_ref()).unwrap(),
        }
    }

    fn keys(&self) -> Vec<Value> {
        let PublicKeyComponents::<Vec<u8>> { n, e } = self.rsa.public().into();
        let point = self.p256.public_key().as_ref();
        let (x, y) = point[1..].split_at(32);
        vec![
            json!({"kty": "RSA", "kid": "r", "use": "sig", "alg": "RS256", "n": encode(n), "e": encode(e)}),
            json!({"kty": "EC", "kid": "e", "crv": "P-256", "x": encode(x), "y": encode(y)}),
            json!({"kty": "OKP", "kid": "d", "crv": "Ed25519", "x": encode(self.ed25519.public_key())}),
            // Of no use here: a shared secret, a key that encrypts, and a curve that nobody asked for.
            json!({"kty": "oct", "kid": "o", "k": encode(b"secret")}),
            json!({"kty": "RSA", "kid": "enc", "use": "enc", "n": "AQAB", "e": "AQAB"}),
            json!({"kty": "EC", "kid": "p384", "crv": "P-384", "x": "AQAB", "y": "AQAB"}),
        ]
    }

    fn set(&self) -> String {
        json!({"keys": self.keys()}).to_string()
    }

    /// Signs `header` and `claims` by the algorithm `by`.
    fn token_of(&self, by: &str, header: &str, claims: &str) -> String {
        let signed = format!("{}.{}", encode(header), encode(claims));
        let bytes = signed.as_bytes();
        let signature = match by {
            "RS256" => {
                let mut signature = vec![0; self.rsa.public().modulus_len()];
                let random = SystemRandom::new();
                self.rsa.sign(&RSA_PKCS1_SHA256, &random, bytes, &mut signature).unwrap();
                signature
            }
            "ES256" => self.p256.sign(&SystemRandom::new(), bytes).unwrap().as_ref().to_vec(),
            "EdDSA" => self.ed25519.sign(bytes).as_ref().to_vec(),
            _ => Vec::new(),
        };
        format!("{signed}.{}", encode(signature))
    }

    fn token(&self, claims: &Value) -> String {
        self.token_of("EdDSA", r#"{"alg":"EdDSA","kid":"d"}"#, &claims.to_string())
    }
}

fn claims() -> Value {
    json!({"iss": ISSUER, "aud": "botops", "sub": "ada", "exp": NOW + 600, "groups": ["release", "chess"]})
}

fn with(name: &str, value: Value) -> Value {
    let mut claims = claims();
    claims[name] = value;
    claims
}

fn spec(jwks: &str) -> IssuerSpec {
    let roles = [("release".to_owned(), Role::Operator), ("audit".to_owned(), Role::Auditor)];
    IssuerSpec {
        issuer: ISSUER.to_owned(),
        audience: "botops".to_owned(),
        keys: IssuerKeys::Jwks(jwks.to_owned()),
        algorithms: Vec::new(),
        leeway: IssuerSpec::LEEWAY,
        grants: Grants::Roles { claim: "groups".to_owned(), roles: roles.into() },
    }
}

/// Issuers whose keys are `set`, in a file.
fn issuers(set: &str) -> (tempfile::TempDir, Issuers) {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("keys.json"), set).unwrap();
    let issuers =
        Issuers::new("server.admin_oidc", vec![spec("keys.json")], folder.path()).unwrap();
    (folder, issuers)
}

fn now() -> DateTime<Utc> {
    DateTime::from_timestamp(NOW, 0).unwrap()
}

async fn check(issuers: &Issuers, token: &str) -> Result<Authenticated, TokenProblem> {
    let verified = issuers.verify(token, now(), Instant::now()).await;
    verified.map(VerifiedToken::administrator).map_err(|refused| match refused {
        Refused::Token(problem) => problem,
        other => panic!("{other:?}"),
    })
}

#[tokio::test]
async fn a_token_of_each_algorithm_names_its_subject_with_the_scopes_of_its_roles() {
    let signer = Signer::new();
    let (_folder, issuers) = issuers(&signer.set());
    let claims = claims().to_string();
    for (algorithm, kid) in [("RS256", "r"), ("ES256", "e"), ("EdDSA", "d")] {
        for header in [
            format!(r#"{{"alg":"{algorithm}","kid":"{kid}"}}"#),
            format!(r#"{{"alg":"{algorithm}"}}"#),
        ] {
            let token = signer.token_of(algorithm, &header, &claims);
            let found = check(&issuers, &token).await.unwrap();
            assert_eq!(found.identity, Identity::new(IdentityKind::Oidc, "ada"));
            assert_eq!(found.scopes, Role::Operator.scopes());
        }
    }
    for (groups, scopes) in [
        (
            json!(["release", "audit"]),
            vec![Scope::Read, Scope::Operate, Scope::Emergency, Scope::Audit],
        ),
        (json!("audit"), vec![Scope::Read, Scope::Audit]),
        (json!("release audit"), vec![]),
        (json!([]), vec![]),
        (json!({"release": true}), vec![]),
        (Value::Null, vec![]),
    ] {
        let found = check(&issuers, &signer.token(&with("groups", groups.clone()))).await.unwrap();
        assert_eq!(found.scopes, scopes.into_iter().collect(), "{groups}");
    }
    let audience = with("aud", json!(["other", "botops"]));
    check(&issuers, &signer.token(&audience)).await.unwrap();
}

#[tokio::test]
async fn a_scope_claim_is_a_list_with_spaces() {
    let signer = Signer::new();
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("keys.json"), signer.set()).unwrap();
    let roles = [("audit".to_owned(), Role::Auditor)].into();
    let grants = Grants::Roles { claim: "scope".to_owned(), roles };
    let spec = IssuerSpec { grants, ..spec("keys.json") };
    let issuers = Issuers::new("server.admin_oidc", vec![spec], folder.path()).unwrap();
    let found =
        check(&issuers, &signer.token(&with("scope", json!("openid audit")))).await.unwrap();
    assert_eq!(found.scopes, Role::Auditor.scopes());
}

#[tokio::test]
async fn the_algorithm_is_that_of_the_key_whatever_the_token_says() {
    let signer = Signer::new();
    let (_folder, issuers) = issuers(&signer.set());
    let claims = claims().to_string();
    let of = |by: &str, header: &str| signer.token_of(by, header, &claims);
    // HS256 with the public key as the secret: the token would verify if the token chose the algorithm.
    let hs256 = {
        let signed = format!("{}.{}", encode(r#"{"alg":"HS256","kid":"d"}"#), encode(&claims));
        let public = signer.ed25519.public_key().as_ref();
        let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, public);
        format!("{signed}.{}", encode(ring::hmac::sign(&key, signed.as_bytes())))
    };
    for (name, token, problem) in [
        ("none", of("none", r#"{"alg":"none"}"#), TokenProblem::UnknownKey),
        ("None", of("none", r#"{"alg":"None","kid":"d"}"#), TokenProblem::UnknownKey),
        ("hs256", hs256, TokenProblem::UnknownKey),
        ("no signature", of("none", r#"{"alg":"EdDSA","kid":"d"}"#), TokenProblem::Signature),
        (
            "key of another algorithm",
            of("EdDSA", r#"{"alg":"EdDSA","kid":"r"}"#),
            TokenProblem::UnknownKey,
        ),
        ("rsa by ed25519", of("EdDSA", r#"{"alg":"RS256","kid":"r"}"#), TokenProblem::Signature),
        ("unknown key", of("EdDSA", r#"{"alg":"EdDSA","kid":"x"}"#), TokenProblem::UnknownKey),
        (
            "path as key",
            of("EdDSA", r#"{"alg":"EdDSA","kid":"../../d"}"#),
            TokenProblem::UnknownKey,
        ),
        ("number as key", of("EdDSA", r#"{"alg":"EdDSA","kid":7}"#), TokenProblem::Malformed),
        ("no algorithm", of("EdDSA", r#"{"kid":"d"}"#), TokenProblem::Malformed),
        ("encrypting key", of("RS256", r#"{"alg":"RS256","kid":"enc"}"#), TokenProblem::UnknownKey),
        (
            "critical",
            of("EdDSA", r#"{"alg":"EdDSA","kid":"d","crit":["x"],"x":1}"#),
            TokenProblem::Critical,
        ),
        (
            "alg twice",
            of("EdDSA", r#"{"alg":"none","alg":"EdDSA","kid":"d"}"#),
            TokenProblem::Malformed,
        ),
    ] {
        assert_eq!(check(&issuers, &token).await.unwrap_err(), problem, "{name}");
    }
    // A key in the header is not read: that of another signer does not help.
    let other = Signer::new();
    let header = json!({"alg": "EdDSA", "kid": "d", "jwk": other.keys()[2], "jku": "https://evil.example/jwks"});
    let token = other.token_of("EdDSA", &header.to_string(), &claims);
    assert_eq!(check(&issuers, &token).await.unwrap_err(), TokenProblem::Signature);
}

#[tokio::test]
async fn hostile_claims_are_refused() {
    let signer = Signer::new();
    let (_folder, issuers) = issuers(&signer.set());
    for (name, value, problem) in [
        ("exp", json!(NOW - 61), TokenProblem::Expired),
        ("exp", json!("never"), TokenProblem::Expired),
        ("exp", Value::Null, TokenProblem::Expired),
        ("nbf", json!(NOW + 61), TokenProblem::NotYetValid),
        ("nbf", json!("now"), TokenProblem::NotYetValid),
        ("iss", json!("https://login.example.com/"), TokenProblem::Untrusted),
        ("iss", json!([ISSUER]), TokenProblem::Untrusted),
        ("aud", json!("other"), TokenProblem::Untrusted),
        ("aud", json!(["botops2"]), TokenProblem::Untrusted),
        ("aud", Value::Null, TokenProblem::Untrusted),
        ("sub", json!(" "), TokenProblem::Subject),
        ("sub", json!(7), TokenProblem::Subject),
        ("sub", json!("a\nb"), TokenProblem::Subject),
        ("sub", json!("a".repeat(201)), TokenProblem::Subject),
    ] {
        let refused = check(&issuers, &signer.token(&with(name, value.clone()))).await;
        assert_eq!(refused.unwrap_err(), problem, "{name}: {value}");
    }
    for (name, value) in [("exp", NOW - 59), ("nbf", NOW + 59)] {
        check(&issuers, &signer.token(&with(name, json!(value)))).await.unwrap();
    }
    let header = r#"{"alg":"EdDSA","kid":"d"}"#;
    let twice = claims().to_string().replacen('{', r#"{"sub":"root","#, 1);
    for claims in [twice.as_str(), "[]", "7", "", "{", "{\"iss\":"] {
        let token = signer.token_of("EdDSA", header, claims);
        assert_eq!(check(&issuers, &token).await.unwrap_err(), TokenProblem::Malformed, "{claims}");
    }
    let valid = signer.token(&claims());
    let long = signer.token(&with("note", json!("x".repeat(8 << 10))));
    assert_eq!(check(&issuers, &long).await.unwrap_err(), TokenProblem::TooLong);
    for broken in
        ["", ".", "..", "...", "a.b.c", "eyJ", &format!("{valid}="), &format!("{valid}.x")]
    {
        assert_eq!(check(&issuers, broken).await.unwrap_err(), TokenProblem::Malformed, "{broken}");
    }
    // No byte of a token can be changed.
    for i in 0..valid.len() {
        let mut bytes = valid.clone().into_bytes();
        bytes[i] = if bytes[i] == b'A' { b'B' } else { b'A' };
        let changed = String::from_utf8(bytes).unwrap();
        assert!(check(&issuers, &changed).await.is_err(), "byte {i}");
    }
}

#[tokio::test]
async fn a_set_of_keys_is_bounded() {
    let signer = Signer::new();
    let token = signer.token(&claims());
    let many: Vec<Value> = (0..65).map(|_| signer.keys()[2].clone()).collect();
    for set in [
        json!({"keys": many}).to_string(),
        format!("{}{}", signer.set(), " ".repeat(256 << 10)),
        json!({"keys": [signer.keys()[3], signer.keys()[4]]}).to_string(),
        json!({"keys": {}}).to_string(),
        "[]".to_owned(),
        "".to_owned(),
    ] {
        let (_folder, issuers) = issuers(&set);
        assert_eq!(check(&issuers, &token).await.unwrap_err(), TokenProblem::NoKeys);
        assert_eq!(issuers.warm(Instant::now() + key_set::PAUSE).await.len(), 1);
    }
    // Two keys of one id: a token could be checked by either, so by none.
    let twice = json!({"keys": [signer.keys()[2], Signer::new().keys()[2]]}).to_string();
    let (_folder, issuers) = issuers(&twice);
    assert_eq!(check(&issuers, &token).await.unwrap_err(), TokenProblem::UnknownKey);
}

#[tokio::test]
async fn a_weak_rsa_key_is_reported_and_not_used() {
    let signer = Signer::new();
    let modulus =
        |bytes: usize| URL_SAFE_NO_PAD.encode([&[0x80], &vec![7; bytes - 1][..]].concat());
    let rsa =
        |kid: &str, bytes| json!({"kty": "RSA", "kid": kid, "n": modulus(bytes), "e": "AQAB"});
    let set = json!({"keys": [rsa("old", 128), signer.keys()[2], rsa("long", 1_025)]}).to_string();
    let (_folder, issuers) = issuers(&set);
    let problems = issuers.warm(Instant::now() + key_set::PAUSE).await;
    assert_eq!(problems.len(), 2, "{problems:?}");
    assert!(problems[0].contains("`old` has 1024 bits, and is not used: 2048"), "{problems:?}");
    assert!(problems[1].contains("`long` has 8200 bits"), "{problems:?}");
    check(&issuers, &signer.token(&claims())).await.expect("the other keys are used");

    let (_folder, issuers) = self::issuers(&json!({"keys": [rsa("old", 128)]}).to_string());
    let problems = issuers.warm(Instant::now() + key_set::PAUSE).await;
    assert!(problems[0].contains("none of them") && problems[0].contains("1024"), "{problems:?}");
}

/// Serves `answer` on this machine, and counts the requests.
fn server(answer: String) -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/jwks", listener.local_addr().unwrap());
    let count = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&count);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            counted.fetch_add(1, Ordering::SeqCst);
            let _ = stream.read(&mut [0; 4096]);
            let _ = stream.write_all(answer.as_bytes());
        }
    });
    (url, count)
}

fn ok(body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}", body.len())
}

#[tokio::test]
async fn keys_are_fetched_rarely_whatever_tokens_say_and_kept_for_an_hour() {
    let signer = Signer::new();
    let (url, count) = server(ok(&signer.set()));
    let issuers = Issuers::new("server.admin_oidc", vec![spec(&url)], Path::new("/")).unwrap();
    let valid = signer.token(&claims());
    let unknown = signer.token_of("EdDSA", r#"{"alg":"EdDSA","kid":"x"}"#, &claims().to_string());
    let begun = Instant::now();
    let at = async |token: &str, seconds: u64| {
        issuers.verify(token, now(), begun + Duration::from_secs(seconds)).await.is_ok()
    };
    for _ in 0..50 {
        assert!(at(&valid, 0).await && !at(&unknown, 0).await);
    }
    assert_eq!(count.load(Ordering::SeqCst), 1, "an unknown key causes no fetch within 30 s");
    assert!(!at(&unknown, 31).await && at(&valid, 31).await && !at(&unknown, 60).await);
    assert_eq!(count.load(Ordering::SeqCst), 2);
    assert!(at(&valid, 700).await);
    assert_eq!(count.load(Ordering::SeqCst), 3, "after 10 minutes the keys are read again");
}

#[tokio::test]
async fn an_issuer_that_cannot_be_reached_is_trusted_for_an_hour_more() {
    let signer = Signer::new();
    let (folder, issuers) = issuers(&signer.set());
    let valid = signer.token(&claims());
    let begun = Instant::now();
    issuers.verify(&valid, now(), begun).await.unwrap();
    std::fs::remove_file(folder.path().join("keys.json")).unwrap();
    let at = async |age: Duration| issuers.verify(&valid, now(), begun + age).await;
    at(key_set::FRESH).await.unwrap();
    at(key_set::KEPT - Duration::from_secs(1)).await.unwrap();
    let refused = at(key_set::KEPT + key_set::PAUSE).await.unwrap_err();
    assert_eq!(refused, Refused::Token(TokenProblem::NoKeys));
}

#[tokio::test]
async fn a_redirect_an_endless_answer_and_an_error_are_no_keys() {
    let signer = Signer::new();
    let (elsewhere, asked) = server(ok(&signer.set()));
    let redirect = format!(
        "HTTP/1.1 302 Found\r\nlocation: {elsewhere}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
    );
    let endless = ok(&" ".repeat(1 << 20));
    for answer in [
        redirect,
        endless,
        "HTTP/1.1 500 No\r\ncontent-length: 0\r\n\r\n".to_owned(),
        String::new(),
    ] {
        let (url, _) = server(answer.clone());
        let issuers = Issuers::new("server.admin_oidc", vec![spec(&url)], Path::new("/")).unwrap();
        let refused = check(&issuers, &signer.token(&claims())).await.unwrap_err();
        assert_eq!(refused, TokenProblem::NoKeys, "{:.60}", answer);
    }
    assert_eq!(asked.load(Ordering::SeqCst), 0, "a redirect is not followed");
}

#[test]
fn settings_that_would_trust_too_much_are_refused() {
    let refused = |change: &dyn Fn(&mut IssuerSpec)| {
        let mut spec = spec("https://login.example.com/jwks");
        change(&mut spec);
        let fault = Issuers::new("server.admin_oidc", vec![spec], Path::new("/")).unwrap_err();
        assert_eq!((fault.code(), fault.kind().exit_code()), ("BOT-1049", 2), "{fault}");
        fault.message().to_owned()
    };
    Issuers::new(
        "server.admin_oidc",
        vec![spec("https://login.example.com/jwks"), spec("keys.json")],
        Path::new("/"),
    )
    .unwrap();
    refused(&|spec| spec.audience.clear());
    refused(&|spec| spec.issuer.clear());
    let roles = |claim: &str| Grants::Roles { claim: claim.to_owned(), roles: [].into() };
    refused(&|spec| spec.grants = roles(""));
    refused(&|spec| spec.grants = roles("groups"));
    for jwks in ["http://login.example.com/jwks", "ftp://127.0.0.1/jwks", "https://", ""] {
        refused(&|spec| spec.keys = IssuerKeys::Jwks(jwks.to_owned()));
    }
    let message = refused(&|spec| {
        spec.keys = IssuerKeys::Jwks("https://a:hunter2@login.example.com/".to_owned());
    });
    assert!(!message.contains("hunter2"), "{message}");
}

/// An issuer that shares `secret`.
fn sharing(secret: &str) -> IssuerSpec {
    IssuerSpec {
        keys: IssuerKeys::Secret(TokenSecret::new(secret)),
        grants: Grants::Claim("scope".to_owned()),
        ..spec("")
    }
}

/// Signs claims by HS256, with the algorithm `alg` in the header.
fn shared(alg: &str, secret: &[u8]) -> String {
    let claims = with("scope", json!("chat feedback"));
    let header = json!({"alg": alg, "kid": "../../dev/null"});
    let signed = format!("{}.{}", encode(header.to_string()), encode(claims.to_string()));
    let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, secret);
    format!("{signed}.{}", encode(ring::hmac::sign(&key, signed.as_bytes())))
}

#[tokio::test]
async fn a_shared_secret_verifies_hs256_alone() {
    let secret = "s".repeat(32);
    let issuers = Issuers::new("access.jwt", vec![sharing(&secret)], Path::new("/")).unwrap();
    let found = check(&issuers, &shared("HS256", secret.as_bytes())).await.unwrap();
    assert_eq!(found.scopes, Scopes::from([Scope::Chat, Scope::Feedback]));
    let signer = Signer::new();
    let claims = with("scope", json!("chat")).to_string();
    for (name, token, problem) in [
        ("another secret", shared("HS256", &[0; 32]), TokenProblem::Signature),
        ("no secret", shared("HS256", b""), TokenProblem::Signature),
        ("HS512", shared("HS512", secret.as_bytes()), TokenProblem::UnknownKey),
        ("none", shared("none", secret.as_bytes()), TokenProblem::UnknownKey),
        ("RS256", shared("RS256", secret.as_bytes()), TokenProblem::UnknownKey),
        (
            "a key that nobody named",
            signer.token_of("EdDSA", r#"{"alg":"EdDSA","kid":"d"}"#, &claims),
            TokenProblem::UnknownKey,
        ),
    ] {
        assert_eq!(check(&issuers, &token).await.unwrap_err(), problem, "{name}");
    }
    // While the secret changes, the settings name the issuer twice.
    let next = "n".repeat(32);
    let both = vec![sharing(&secret), sharing(&next)];
    let issuers = Issuers::new("access.jwt", both, Path::new("/")).unwrap();
    for secret in [&secret, &next] {
        check(&issuers, &shared("HS256", secret.as_bytes())).await.unwrap();
    }
    let third = shared("HS256", "t".repeat(32).as_bytes());
    assert_eq!(check(&issuers, &third).await.unwrap_err(), TokenProblem::Signature);
}

#[tokio::test]
async fn an_issuer_may_accept_fewer_algorithms_a_shorter_leeway_and_fixed_scopes() {
    let signer = Signer::new();
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("keys.json"), signer.set()).unwrap();
    let spec = IssuerSpec {
        algorithms: vec![TokenAlgorithm::Es256],
        leeway: Duration::from_secs(5),
        grants: Grants::Fixed([Scope::Predict].into()),
        ..spec("keys.json")
    };
    let issuers = Issuers::new("access.jwt", vec![spec], folder.path()).unwrap();
    let es256 = |claims: &Value| {
        signer.token_of("ES256", r#"{"alg":"ES256","kid":"e"}"#, &claims.to_string())
    };
    let found = check(&issuers, &es256(&with("scope", json!("review")))).await.unwrap();
    assert_eq!(found.scopes, Scopes::from([Scope::Predict]));
    let other = check(&issuers, &signer.token(&claims())).await.unwrap_err();
    assert_eq!(other, TokenProblem::UnknownKey, "EdDSA is not accepted");
    let late = check(&issuers, &es256(&with("exp", json!(NOW - 6)))).await.unwrap_err();
    assert_eq!(late, TokenProblem::Expired);
    check(&issuers, &es256(&with("exp", json!(NOW - 4)))).await.unwrap();
    for huge in [json!(1e300), json!(u64::MAX)] {
        check(&issuers, &es256(&with("exp", huge))).await.unwrap();
    }
}

#[test]
fn settings_of_clients_that_would_trust_too_much_are_refused() {
    let refused = |code: &str, change: &dyn Fn(&mut IssuerSpec)| {
        let mut spec = sharing(&"s".repeat(32));
        change(&mut spec);
        let fault = Issuers::new("access.jwt", vec![spec], Path::new("/")).unwrap_err();
        assert_eq!((fault.code(), fault.kind().exit_code()), (code, 2), "{fault}");
        fault.message().to_owned()
    };
    let secret = "short and secret";
    let message = refused("BOT-1049", &|spec| {
        spec.keys = IssuerKeys::Secret(TokenSecret::new(secret));
    });
    assert!(message.contains("256 bits") && !message.contains(secret), "{message}");
    assert!(!format!("{:?}", sharing(secret)).contains(secret));
    refused("BOT-1049", &|spec| spec.algorithms = vec![TokenAlgorithm::Rs256]);
    refused("BOT-1049", &|spec| {
        spec.keys = IssuerKeys::Jwks("keys.json".to_owned());
        spec.algorithms = vec![TokenAlgorithm::Es256, TokenAlgorithm::Hs256];
    });
    refused("BOT-1049", &|spec| spec.leeway = Duration::from_secs(301));
    refused("BOT-1049", &|spec| spec.grants = Grants::Claim(String::new()));
    refused("BOT-1049", &|spec| spec.grants = Grants::Fixed([].into()));
    refused("BOT-1049", &|spec| spec.grants = Grants::Fixed([Scope::Admin].into()));
    refused("BOT-1080", &|spec| spec.grants = Grants::Fixed([Scope::Review, Scope::Chat].into()));
}
