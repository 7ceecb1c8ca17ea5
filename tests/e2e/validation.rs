//! Payloads that check themselves.

use crate::support::{connect, serve};
use garde::Validate;
use pitaya_runtime::prelude::*;
use pitaya_runtime::validation::Validation;
use serde_json::{Value, json};

#[derive(serde::Deserialize, Validate)]
struct Say {
    #[garde(length(min = 1, max = 5))]
    text: String,
    #[garde(range(max = 3))]
    times: u32,
}

struct Room;

#[handler]
impl Room {
    pub fn say(&self, say: Say) -> String {
        say.text.repeat(say.times as usize)
    }

    pub fn free(&self, text: String) -> String {
        text
    }
}

#[tokio::test]
async fn a_payload_that_does_not_hold_is_refused_with_the_names_of_its_fields() {
    let app = serve(Builder::new("game").before(Validation::new().of::<Say>()).handlers(Room)).await;
    let client = connect(&app).await;
    let said: String = client.request_json("game.room.say", &json!({"text": "ab", "times": 2})).await.expect("holds");
    assert_eq!(said, "abab");
    let long = json!({"text": "abcdef", "times": 9});
    let error = client.request_json::<Value>("game.room.say", &long).await.expect_err("does not hold");
    assert_eq!(error.code(), Some("PIT-400"));
    assert!(error.to_string().contains("text") && error.to_string().contains("times"), "{error}");
    let empty = json!({"text": "", "times": 1});
    let error = client.request_json::<Value>("game.room.say", &empty).await.expect_err("does not hold").to_string();
    assert!(error.contains("text") && !error.contains("times"), "{error}");
    // Types that were not named pass.
    let free: String = client.request_json("game.room.free", "anything at all").await.expect("unchecked");
    assert_eq!(free, "anything at all");
}
