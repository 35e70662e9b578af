//! The meaning of references in the past.

use super::*;

fn at(text: &str) -> Act {
    Act::claimed("ben", format!("at {text}"), parse_time(text).unwrap())
}

async fn meant(registry: &Registry, reference: &str, as_of: &str) -> String {
    let now = parse_time("2030-01-01").unwrap();
    let as_of = parse_time(as_of).unwrap();
    match registry.resolve_as_of(&reference.parse().unwrap(), as_of, now).await {
        Ok(found) => format!("{} {}", found.version.reference(), found.reason),
        Err(fault) => {
            assert_eq!((fault.code(), fault.kind().exit_code()), ("BOT-5026", 2));
            fault.message().to_owned()
        }
    }
}

#[tokio::test]
async fn a_champion_and_an_alias_are_those_of_the_time() {
    // All versions were registered in 1970.
    let (_, registry, versions) = bench().await;
    let manifest = |n: usize| Some(versions[n].manifest_digest);
    registry.promote(&versions[0], None, &proof("one"), &at("2026-11-01")).await.unwrap();
    registry.promote(&versions[1], manifest(0), &proof("two"), &at("2026-11-10")).await.unwrap();
    let one = registry.former_champion(&"support@1".parse().unwrap()).await.unwrap();
    registry.go_back(&one, manifest(1), &at("2026-11-20T10:00Z")).await.unwrap();
    registry.move_alias("beta", &versions[2], None, &at("2026-11-05")).await.unwrap();
    registry.withdraw(&versions[2], Withdrawal::Yanked, &at("2026-11-15")).await.unwrap();
    for (reference, as_of, expected) in [
        ("support@champion", "2026-11-01", "support@1 at 2026-11-01"),
        ("support", "2026-11-12", "support@2 at 2026-11-10"),
        ("support@production", "2026-11-20T09:59Z", "support@2 at 2026-11-10"),
        ("support@production", "2026-11-20T10:00Z", "support@1 at 2026-11-20T10:00Z"),
        ("support@beta", "2026-11-06", "support@3 at 2026-11-05"),
        ("support@latest", "2026-11-14", "support@3 a test"),
        ("support@latest", "2026-11-16", "support@2 a test"),
        ("support@2", "2026-11-16", "support@2 a test"),
    ] {
        assert_eq!(meant(&registry, reference, as_of).await, expected, "{reference} {as_of}");
    }
    let staging = registry.in_environment("staging").unwrap();
    for (message, part) in [
        (meant(&registry, "support", "2026-10-31").await, "has no champion yet"),
        (meant(&registry, "support@beta", "2026-11-04").await, "has no alias `beta`"),
        (meant(&registry, "support@2", "1969-12-31").await, "had no version at 1969-12-31"),
        (meant(&registry, "support@2", "2031-01-01").await, "lies in the future"),
        (meant(&staging, "support", "2026-11-12").await, "no champion in `staging` yet"),
    ] {
        assert!(message.contains(part), "{message}");
    }
}
