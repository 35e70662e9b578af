//! Yanked and deprecated versions.

use super::*;

fn code<T: std::fmt::Debug>(result: Result<T, botops_findings::Fault>) -> (&'static str, u8) {
    let fault = result.unwrap_err();
    (fault.code(), fault.kind().exit_code())
}

fn because(reason: &str) -> Act {
    Act::claimed("ben", reason, "2026-11-20T10:00:00Z".parse().unwrap())
}

async fn again(registry: &Registry, version: &Version) -> Version {
    registry.resolve(&version.reference().parse().unwrap()).await.unwrap()
}

#[tokio::test]
async fn a_yanked_version_is_not_promoted_and_can_still_be_read() {
    let (store, registry, versions) = bench().await;
    assert_eq!(resolved(&registry, "support@latest").await, "support@3");
    let yank = because("wrong labels");
    assert!(registry.withdraw(&versions[2], Withdrawal::Yanked, &yank).await.unwrap());
    assert!(!registry.withdraw(&versions[2], Withdrawal::Yanked, &yank).await.unwrap());
    let count =
        || async { store.log::<Event>("models/support/log").entries().await.unwrap().len() };
    assert_eq!(count().await, 4, "a second yank writes nothing");

    let manifest = versions[2].manifest_digest;
    assert!(registry.is_yanked(MODEL, &manifest).await.unwrap());
    assert!(!registry.is_yanked(MODEL, &versions[1].manifest_digest).await.unwrap());
    assert_eq!(resolved(&registry, "support@latest").await, "support@2");
    let known = again(&registry, &versions[2]).await;
    assert_eq!(known.yanked.as_ref().map(|it| it.reason.as_str()), Some("wrong labels"));
    let warning = known.warnings().remove(0);
    assert_eq!(warning.code, "BOT-5024");
    assert!(warning.message.contains("wrong labels (`ben`, 2026-11-20"), "{}", warning.message);

    assert_eq!(code(registry.proof(&versions[2]).await), ("BOT-5022", 6));
    assert_eq!(code(registry.refuse_yanked(MODEL, &manifest).await), ("BOT-5022", 6));
    let promoted = registry.promote(&versions[2], None, &proof("three"), &act("ada")).await;
    assert_eq!(code(promoted), ("BOT-5022", 6));
    assert_eq!(registry.champion(MODEL).await.unwrap(), None);

    assert!(registry.take_back(&versions[2], Withdrawal::Yanked, &because("sound")).await.unwrap());
    assert!(
        !registry.take_back(&versions[2], Withdrawal::Yanked, &because("sound")).await.unwrap()
    );
    registry.promote(&versions[2], None, &proof("three"), &act("ada")).await.unwrap();
    assert_eq!(resolved(&registry, "support").await, "support@3");
    let verified = registry.verify(None).await.unwrap();
    assert_eq!(verified.entries, 3 + 2 + 1);
    let about_marks = |it: &&botops_findings::Finding| it.message.contains("not registered");
    assert_eq!(verified.problems.iter().filter(about_marks).count(), 0);
}

#[tokio::test]
async fn latest_is_no_version_if_all_are_yanked() {
    let (_, registry, versions) = bench().await;
    for version in &versions {
        registry.withdraw(version, Withdrawal::Yanked, &because("wrong data")).await.unwrap();
    }
    let latest = registry.resolve(&"support@latest".parse().unwrap()).await;
    assert_eq!(code(latest), ("BOT-5022", 6));
    assert_eq!(resolved(&registry, "support@2").await, "support@2");
}

#[tokio::test]
async fn the_champion_of_any_environment_is_not_yanked() {
    let (_, production, versions) = bench().await;
    let staging = production.in_environment("staging").unwrap();
    staging.promote(&versions[0], None, &proof("one"), &act("ada")).await.unwrap();
    for registry in [&production, &staging] {
        let fault =
            registry.withdraw(&versions[0], Withdrawal::Yanked, &because("bad")).await.unwrap_err();
        assert_eq!((fault.code(), fault.kind().exit_code()), ("BOT-5023", 6));
        assert!(fault.message().contains("`staging`"), "{fault}");
        let hint = "roll back first: `botops rollback support --environment staging --reason TEXT`";
        assert_eq!(fault.hints()[0], hint);
    }
    assert!(!production.is_yanked(MODEL, &versions[0].manifest_digest).await.unwrap());
    // A deprecation changes nothing for the servers.
    let old = because("old");
    assert!(production.withdraw(&versions[0], Withdrawal::Deprecated, &old).await.unwrap());
    let known = again(&production, &versions[0]).await;
    assert_eq!(known.warnings()[0].code, "BOT-5025");
    production.promote(&versions[0], None, &proof("one"), &act("ada")).await.unwrap();
    assert!(production.take_back(&known, Withdrawal::Deprecated, &old).await.unwrap());
    assert!(again(&production, &known).await.warnings().is_empty());
}

#[tokio::test]
async fn the_way_back_passes_a_yanked_champion_over() {
    let (_, registry, versions) = bench().await;
    let mut before = None;
    for (version, content) in versions.iter().zip(["one", "two", "three"]) {
        registry.promote(version, before, &proof(content), &act("ada")).await.unwrap();
        before = Some(version.manifest_digest);
    }
    let two = registry.former_champion(&"support@2".parse().unwrap()).await.unwrap();
    registry.withdraw(&versions[1], Withdrawal::Yanked, &because("bad")).await.unwrap();
    let back = registry.previous_champion(MODEL, &versions[2].manifest_digest).await.unwrap();
    assert_eq!(back.unwrap().reference(), "support@1");
    let named = registry.former_champion(&"support@2".parse().unwrap()).await;
    assert_eq!(code(named), ("BOT-5022", 6));
    // A proof that was taken before the yank does not help.
    assert_eq!(code(registry.go_back(&two, before, &act("ada")).await), ("BOT-5022", 6));
    assert_eq!(resolved(&registry, "support").await, "support@3");
}

#[tokio::test]
async fn a_change_that_this_botops_does_not_know_is_newer() {
    let (store, registry, _) = bench().await;
    let log = store.log::<serde_json::Value>("models/support/log");
    let entries = log.entries().await.unwrap();
    let event = serde_json::json!({
        "at": "2026-11-20T10:00:00Z", "actor": "ada", "reason": "",
        "action": {"action": "moved_away", "version": 1},
    });
    assert!(matches!(log.append(entries.last(), event).await.unwrap(), Appended::Written(_)));
    let fault = Registry::open(store).resolve(&"support@1".parse().unwrap()).await.unwrap_err();
    assert_eq!((fault.code(), fault.kind().exit_code()), ("BOT-5007", 6));
    assert!(fault.message().contains("`moved_away`"), "{fault}");
    drop(registry);
}
