//! Servers follow one log: commands, shares and rollbacks.

use super::*;

#[tokio::test]
async fn every_server_follows_what_one_of_them_accepted() {
    let store = Store::in_memory();
    let (a, b) = (Server::start(&store).await, Server::start(&store).await);
    a.begin(plan()).await;
    assert!(matches!(a.phase(), Phase::Ramping { step: 0, .. }), "{:?}", a.phase());
    b.turns(2).await;
    assert!(matches!(b.phase(), Phase::Ramping { step: 0, .. }), "{:?}", b.phase());
    assert_eq!([a.share(), b.share()], [0.0, 0.0], "the share waits until all have read it");
    raised().await;
    a.turns(1).await;
    b.turns(1).await;
    assert_eq!([a.share(), b.share()], [0.5, 0.5]);
    // A command at the server that does not tick.
    b.canary.command("latest", &Command::Pause, &ada(), None).await.unwrap();
    a.turns(1).await;
    assert!(matches!(a.phase(), Phase::Paused { .. }), "{:?}", a.phase());
    let entries = log(&store).await;
    let leases = entries.iter().filter(|it| it.payload.rollout().is_none()).count();
    assert_eq!(leases, 1);
    assert_eq!(entries.last().unwrap().payload.actor, "ada");
}

#[tokio::test]
async fn an_abort_acts_at_once_where_it_was_taken_and_at_the_next_look_elsewhere() {
    let store = Store::in_memory();
    let (a, b) = (Server::start(&store).await, Server::start(&store).await);
    a.begin(plan()).await;
    raised().await;
    a.turns(1).await;
    b.turns(2).await;
    assert_eq!([a.share(), b.share()], [0.5, 0.5]);
    b.canary.abort("latest", "enough".to_owned(), ada(), Some(0)).await.unwrap();
    assert_eq!(b.share(), 0.0);
    a.turns(1).await;
    assert_eq!(a.share(), 0.0);
    a.turns(1).await;
    assert!(matches!(a.phase(), Phase::RolledBack { .. }), "{:?}", a.phase());
}

#[tokio::test]
async fn a_server_that_did_not_look_lately_sends_nothing_to_a_challenger() {
    let store = Store::in_memory();
    let fresh = Duration::from_secs(1);
    let pace = Pace { fresh, ..Pace::default().times(TIMES) };
    let a = Server::start_at(&store, pace).await;
    a.begin(plan()).await;
    raised().await;
    a.canary.turn().await.unwrap();
    assert_eq!(a.share(), 0.5);
    tokio::time::sleep(fresh).await;
    assert_eq!(a.share(), 0.0, "as after a pause of the process");
    a.canary.turn().await.unwrap();
    assert_eq!(a.share(), 0.5);
}

#[tokio::test]
async fn a_promotion_is_one_entry_and_every_server_swaps() {
    let store = Store::in_memory();
    let (a, b) = (Server::start(&store).await, Server::start(&store).await);
    let mut plan = plan();
    plan.steps[0].min_units = Some(1);
    plan.settle = botops_spec::parse("window: 1h", "settle").ok();
    a.begin(plan).await;
    raised().await;
    a.turns(1).await;
    b.turns(2).await;
    a.talk(0..20);
    a.turns(30).await;
    b.turns(3).await;
    assert!(matches!(a.phase(), Phase::Settling { .. }), "{:?}", a.phase());
    for server in [&a, &b] {
        let primary = server.app.slot.load().unwrap().primary.manifest;
        assert_eq!(primary, Some(digest("challenger")));
    }
    let entries = log(&store).await;
    let moves: Vec<_> = entries.iter().filter_map(|it| it.payload.champion()).collect();
    assert_eq!(moves.len(), 1);
    assert_eq!((moves[0].from(), moves[0].to()), (Some(digest("champion")), digest("challenger")));
    assert_eq!(b.versions.loaded.load(Ordering::SeqCst), 1, "only the challenger was loaded");
}

#[tokio::test]
async fn a_challenger_that_was_withdrawn_is_rolled_back() {
    let store = Store::in_memory();
    let a = Server::start(&store).await;
    a.begin(plan()).await;
    a.versions.withdrawn.store(true, Ordering::SeqCst);
    tokio::time::sleep(Pace::default().times(TIMES).withdrawals).await;
    a.turns(3).await;
    let Phase::RolledBack { reason } = a.phase() else { panic!("{:?}", a.phase()) };
    assert!(reason.contains("is yanked"), "{reason}");
}

#[tokio::test]
async fn an_abort_acts_although_a_newer_botops_wrote_to_the_log() {
    let store = Store::in_memory();
    let a = Server::start(&store).await;
    a.begin(plan()).await;
    raised().await;
    a.turns(1).await;
    assert_eq!(a.share(), 0.5);
    let seq = log(&store).await.len() + 1;
    let newer = format!(r#"{{"schema":"botops.log/9","seq":{seq}}}"#);
    let path = format!("deployments/production/log/{seq:020}.json");
    assert!(store.create(&path, newer.into()).await.unwrap());
    a.canary.abort("latest", "enough".to_owned(), ada(), None).await.unwrap();
    assert_eq!((a.share(), a.canary.is_durable()), (0.0, false));
    // The turns cannot follow the log, and do not give the share back.
    assert_eq!(a.canary.turn().await.unwrap_err().code(), "BOT-5007");
    assert_eq!(a.share(), 0.0);
}

#[tokio::test]
async fn nobody_approves_what_was_requested_on_their_behalf() {
    let store = Store::in_memory();
    let a = Server::start(&store).await;
    let mut plan = plan();
    plan.approval = botops_spec::parse("quorum: 1", "approval").ok();
    let request = StartRequest {
        version: "challenger".to_owned(),
        plan,
        supersede: false,
        accept_labels: true,
        drill: false,
    };
    let ci = Identity::new(IdentityKind::Key, "ci").on_behalf_of(Some("ada".to_owned()));
    a.canary.start(&request, Requester::new(ci, "weekly"), Mode::Real).await.unwrap();
    let approve = |by: &str| Command::Approve { by: by.to_owned(), comment: String::new() };
    let refused = a.canary.command("latest", &approve("ada"), &ada(), None).await.unwrap_err();
    assert_eq!((refused.code(), refused.kind().exit_code()), ("BOT-6006", 6));
    let for_ci = Identity::new(IdentityKind::Key, "ben").on_behalf_of(Some("ci".to_owned()));
    let refused = a
        .canary
        .command("latest", &approve("ben"), &Requester::new(for_ci, ""), None)
        .await
        .unwrap_err();
    assert_eq!(refused.code(), "BOT-6006");
}
