//! The programs `rate_limit` and `pipeline` do what they are there to show.

use pitaya_tests::binary;
use std::process::Command;

fn prints(example: &str, expected: &[&str]) {
    let ran = Command::new(binary::example(example)).env_remove("RUST_LOG").output().expect("it runs");
    let (said, log) = (String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(&ran.stderr));
    assert!(ran.status.success(), "{example}: {log}");
    assert_eq!(said.lines().collect::<Vec<_>>(), expected, "{log}");
}

#[test]
fn rate_limit() {
    let refused = "PIT-429: too many messages";
    prints(
        "rate_limit",
        &["one", "two", "three", refused, refused, r#"["ada","grace"]"#, "six", "2 messages were over the limit"],
    );
}

#[test]
fn pipeline() {
    prints(
        "pipeline",
        &[
            r#"game.shop.buy {"item": "sword", "count": 1}: SHOP-401: log in first"#,
            r#"game.shop.login {"name": "a"}: PIT-400: name: length is lower than 2"#,
            r#"game.shop.login {"name": "ada"}: "welcome, ada""#,
            r#"game.shop.buy {"item": "sword", "count": 0}: PIT-400: count: lower than 1"#,
            r#"game.shop.buy {"item": "sword", "count": 2}: "ada bought 2 swords""#,
            r#"game.shop.buy {"item": "shield", "count": 1}: SHOP-500: the shop is closed, come back later"#,
        ],
    );
}
