//! Which frontend a user is on.

use crate::support::{SOON, eventually, keys};
use pitaya_runtime::cluster::{BindingStorage, EtcdBindings};
use pitaya_runtime::config::Config;
use pitaya_tests::etcd::Etcd;
use std::time::Duration;

fn bindings(etcd: &Etcd, id: &str) -> EtcdBindings {
    let mut config = Config::default();
    let settings = &mut config.modules.bindingstorage.etcd;
    settings.endpoints = vec![etcd.endpoint()];
    settings.leasettl = Duration::from_secs(1);
    EtcdBindings::new(settings, "gate", id).expect("valid")
}

fn revoke_all(etcd: &Etcd) {
    etcd.ctl(&["lease", "list"]).lines().skip(1).for_each(|id| drop(etcd.ctl(&["lease", "revoke", id])));
}

#[tokio::test]
async fn a_user_is_found_where_it_was_bound_last() {
    let etcd = Etcd::start();
    let (one, two) = (bindings(&etcd, "one"), bindings(&etcd, "two"));
    assert_eq!(two.get("gate", "zoe").await, Ok(None));
    assert_eq!(etcd.ctl(&["lease", "list"]).trim(), "found 0 leases", "who only asks has none");
    one.put("zoe").await.expect("etcd answers");
    one.put("zoe").await.expect("etcd answers");
    assert_eq!(two.get("gate", "zoe").await, Ok(Some("one".into())));
    assert_eq!(two.get("hall", "zoe").await, Ok(None));
    assert_eq!(etcd.ctl(&["get", "--prefix", ""]).trim(), "pitaya/bindings/gate/zoe\none");

    two.put("zoe").await.expect("etcd answers");
    // In Go this would take away what is the other's by now.
    one.remove("zoe").await.expect("etcd answers");
    assert_eq!(one.get("gate", "zoe").await, Ok(Some("two".into())));
    two.remove("zoe").await.expect("etcd answers");
    two.remove("zoe").await.expect("etcd answers");
    assert_eq!(one.get("gate", "zoe").await, Ok(None));
}

#[tokio::test]
async fn bindings_outlive_their_lease_and_spare_those_of_others() {
    let etcd = Etcd::start();
    let (one, two) = (bindings(&etcd, "one"), bindings(&etcd, "two"));
    for uid in ["zoe", "max", "moved"] {
        one.put(uid).await.expect("etcd answers");
    }
    two.put("moved").await.expect("etcd answers");
    one.remove("max").await.expect("etcd answers");
    revoke_all(&etcd);
    assert_eq!(keys(&etcd), [""; 0]);
    two.put("moved").await.expect("under a new lease");
    eventually("the first has written its bindings again", || keys(&etcd).len() == 2).await;
    assert_eq!(keys(&etcd), ["pitaya/bindings/gate/moved", "pitaya/bindings/gate/zoe"]);
    assert_eq!(one.get("gate", "moved").await, Ok(Some("two".into())));
    // They are renewed for as long as their frontend lives.
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(one.get("gate", "zoe").await, Ok(Some("one".into())));
    drop(one);
    eventually("the dead frontend's are gone", || keys(&etcd).len() == 1).await;
    tokio::time::timeout(SOON, two.close()).await.expect("soon").expect("etcd answers");
    assert_eq!(keys(&etcd), [""; 0]);
}

#[tokio::test]
async fn nobody_there_is_told() {
    let mut config = Config::default();
    config.modules.bindingstorage.etcd.endpoints = vec!["127.0.0.1:1".to_owned()];
    let bindings = EtcdBindings::new(&config.modules.bindingstorage.etcd, "gate", "one").expect("valid");
    let error = bindings.put("zoe").await.expect_err("nobody listens").to_string();
    assert!(error.starts_with("etcd at `127.0.0.1:1` cannot be reached: "), "{error}");
}
