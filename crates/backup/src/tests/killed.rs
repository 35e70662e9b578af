//! Backups and restores that are killed at every step.

use super::*;

#[tokio::test]
async fn a_backup_that_is_killed_at_any_step_does_not_count_and_the_next_one_is_complete() {
    let place = Place::new();
    fill(&place).await;
    let keys = Keys::default();
    let mut steps = 0;
    let mut killed = 0;
    loop {
        let (target, sources) = (place.store("backups"), place.sources(false));
        let name = format!("{steps:08}");
        let made = create(&target, &sources, &keys, (at(10), &name, false));
        let ended = killed_after(steps, made).await;
        for (id, header) in headers(&target).await.unwrap() {
            let header = header.unwrap();
            let verified = verify(&target, &header, &keys).await.unwrap();
            assert_eq!((verified.damaged, header.objects), (0, 9), "{id} after {steps} steps");
        }
        if ended.is_some() {
            break;
        }
        killed += 1;
        steps += 7;
    }
    assert!(killed > 3, "it was killed {killed} times");
    place.restore("new", &keys, None).await.unwrap();
    assert_eq!(content(&place.store("new/registry")).await, content(&place.store("live")).await);
}

#[tokio::test]
async fn a_restore_that_is_killed_at_any_step_is_refused_by_servers_and_goes_on() {
    let place = Place::new();
    fill(&place).await;
    let live = place.conversations("live-conversations");
    say(&live, 1, 11, 0, 8).await;
    say(&live, 2, 12, 0, 8).await;
    let runs = place.store("live-experiments");
    append(&runs, "runs/log", json!({"at": at(1)})).await;
    runs.put_blob(noise(2_000, 12).into()).await.unwrap();
    let runs = content(&runs).await;
    let keys = Keys::default();
    place.create(10, &keys).await;
    let blob = botops_digest::Digest::of(&noise(2_000, 8));
    erase(&place.store("live"), ErasureSubject::Utterance, id(98), vec![blob]).await;
    erase(&place.store("live"), ErasureSubject::Person, id(12), Vec::new()).await;
    place.store("live").erase_blob(&blob, "ab", at(12)).await.unwrap();
    let whole = content(&place.store("live")).await;
    let (mut steps, mut refused) = (0, 0);
    loop {
        let ended = killed_after(steps, place.restore("new", &keys, None)).await;
        let target = place.store("new/registry");
        match target.complete().await {
            Err(fault) => {
                assert_eq!(fault.code(), "BOT-5113");
                assert_eq!(target.identify().await.unwrap_err().code(), "BOT-5113");
                refused += 1;
            }
            Ok(_) => {
                let found = content(&target).await;
                assert!(found.is_empty() || found == whole, "after {steps} steps");
            }
        }
        if let Some(ended) = ended {
            // One that was killed after its last write left a complete store.
            assert!(ended.is_ok() || ended.unwrap_err().code() == "BOT-5110");
            break;
        }
        steps += 1;
    }
    assert!(refused > 3, "{refused} were refused");
    place.store("new/registry").complete().await.unwrap();
    assert_eq!(content(&place.store("new/registry")).await, whole);
    place.store("new/experiments").complete().await.unwrap();
    let mut found = content(&place.store("new/experiments")).await;
    found.retain(|path, _| !path.starts_with("erasures/"));
    assert_eq!(found, runs);
    let restored = place.conversations("new/conversations");
    assert_eq!(persons(&restored).await.0, [id(1)].into());
}
