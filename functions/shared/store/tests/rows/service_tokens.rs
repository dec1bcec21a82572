//! Tokens of services, and keys that were withdrawn.

use std::time::Duration;

use crate::story::{Story, at, pinned, words};

#[tokio::test]
async fn tokens_of_services_and_withdrawn_keys() {
    let mut story = Story::begin().await;
    for (fingerprint, second) in [("first", 0), ("second", 5), ("first", 10)] {
        let hour_ago = at(second) - Duration::from_hours(1);
        story.store.note_service_token("edge", fingerprint, at(second), hour_ago).await.unwrap();
    }
    story.cost("note two tokens, one of them twice within an hour");
    story.store.note_service_token("edge", "second", at(4000), at(400)).await.unwrap();
    let in_use = story.store.service_tokens_in_use("edge").await.unwrap();
    assert_eq!(in_use, [("first".to_owned(), at(0)), ("second".to_owned(), at(4000))].into());
    assert!(story.store.service_tokens_in_use("edg").await.unwrap().is_empty());
    story.cost("note again and read twice");
    story.store.withdraw_key("a-kid", at(0)).await.unwrap();
    let after = async |days: i64| story.store.withdrawn_keys(at(86_400 * days), 16).await.unwrap();
    assert_eq!((after(1).await, after(2).await), (words(&["a-kid"]), words(&[])));
    story.cost("withdraw a key and read twice");
    pinned("rows_of_service_tokens_and_keys", &format!("{}\n{}", story.table().await, story.costs));
}
