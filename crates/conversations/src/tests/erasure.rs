//! Erased texts are in no file.

use super::{conversations, files_with, racing::say, sqlite};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn plain_texts_are_in_no_file_after_they_were_erased() {
    let folder = tempfile::tempdir().unwrap();
    let of = conversations(sqlite(folder.path()).await, None);
    // Bodies of many sizes, so that pages split, are filled again and overflow.
    for round in 0..30 {
        for c in 0..10 {
            let text = format!("needle{c}x {}", "hay ".repeat((round * 37 + c * 101) % 1_200));
            say(&of, &format!("conversation {c}"), &text, None).await;
        }
    }
    assert!(!files_with(folder.path(), "needle3x").is_empty(), "the search finds what is there");
    for c in [3, 7] {
        let conversation = of.named(&format!("conversation {c}"), None).conversation;
        let erased = of.store.erase(&[conversation]).await.unwrap();
        assert!(erased.turns >= 30);
        of.store.scrub().await.unwrap();
        assert_eq!(files_with(folder.path(), &format!("needle{c}x")), [""; 0]);
        // Its name is gone from the indexes too.
        let name = of.named(&format!("conversation {c}"), None).conversation;
        let bytes = std::fs::read(folder.path().join("store/turns.sqlite")).unwrap();
        assert!(!bytes.windows(16).any(|window| window == name.as_bytes()));
        for other in 0..10 {
            say(&of, &format!("conversation {other}"), "some more hay", None).await;
        }
    }
    assert!(!files_with(folder.path(), "needle4x").is_empty(), "the others are still there");
    of.store.expire(i64::MAX, u32::MAX).await.unwrap();
    of.store.scrub().await.unwrap();
    assert_eq!(files_with(folder.path(), "hay hay"), [""; 0], "retention leaves nothing either");
}
