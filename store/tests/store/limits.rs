//! What a real etcd keeps apart and refuses: collections, sizes, users.

use etcd_client::{Client, ConnectOptions, Permission, PermissionType};
use quoit_ring::{RingStore, SwapError, ValueName, Values};
use quoit_store::{Etcd, EtcdOptions, EtcdRingStore, EtcdUser};
use quoit_testkit_etcd::Etcd as Server;

use crate::support::{SHARD, UID, chain, epoch, open, raw, ring, ring_of, shown, store};

#[tokio::test]
async fn a_value_that_etcd_would_refuse_is_refused_with_its_size() {
    let server = Server::start().unwrap();
    let (values, _) = store(&[server.endpoint()]);
    let wish = ValueName::wish();
    let Err(SwapError::Failed(error)) = values.swap(&wish, None, &vec![7; 3 << 19]).await else {
        panic!("written");
    };
    assert!(!error.may_retry());
    let text = chain(&error);
    assert!(
        text.contains("has 1572864 bytes, and the most is 1556480"),
        "{text}"
    );
    let at = values.swap(&wish, None, &vec![7; 1_556_480]).await.unwrap();
    let kept = values.get(&wish).await.unwrap().unwrap();
    assert_eq!((kept.revision, kept.value.len()), (at, 1_556_480));
    // Some together are more than a client takes that is not told otherwise.
    for node in 0..4 {
        let name = ValueName::node(SHARD, node);
        values.swap(&name, None, &vec![7; 1_556_480]).await.unwrap();
    }
    assert_eq!(
        values.list(&ValueName::nodes(SHARD)).await.unwrap().len(),
        4
    );
    let mut watch = values.watch(&ValueName::nodes(SHARD));
    assert_eq!(shown(&mut watch).await.now.len(), 4);
}

#[tokio::test]
async fn two_collections_in_one_etcd_do_not_see_each_other() {
    let server = Server::start().unwrap();
    let etcd = open(&[server.endpoint()]);
    let other = uuid::Uuid::from_u128(8);
    let (one, two) = (etcd.store(UID), etcd.store(other));
    one.swap(&ValueName::wish(), None, b"one").await.unwrap();
    assert_eq!(two.get(&ValueName::wish()).await.unwrap(), None);
    let (one, two) = (EtcdRingStore::new(one, UID), EtcdRingStore::new(two, other));
    let mut watch = two.watch();
    assert_eq!(epoch(&mut watch).await, (None, false));
    one.swap(None, &ring(1)).await.unwrap();
    two.swap(None, &ring_of(other, 7)).await.unwrap();
    assert_eq!(epoch(&mut watch).await, (Some(7), false));
    let kept = raw(&server)
        .await
        .get(format!("/quoit/{UID}/ring"), None)
        .await
        .unwrap();
    assert_eq!(kept.kvs()[0].value(), ring(1).to_bytes());
}

#[tokio::test]
async fn users_are_logged_in_and_what_they_lack_is_said() {
    let server = Server::start().unwrap();
    let mut admin = raw(&server).await;
    admin.user_add("root", "root", None).await.unwrap();
    admin.user_grant_role("root", "root").await.unwrap();
    admin.user_add("quoit", "right", None).await.unwrap();
    admin.role_add("quoit").await.unwrap();
    let mine = Permission::new(PermissionType::Readwrite, format!("/quoit/{UID}/")).with_prefix();
    admin.role_grant_permission("quoit", mine).await.unwrap();
    admin.user_grant_role("quoit", "quoit").await.unwrap();
    admin.auth_enable().await.unwrap();

    let logged_in = |password: Option<&str>| {
        let mut options = EtcdOptions::new([server.endpoint()]);
        options.user = password.map(|password| EtcdUser {
            name: "quoit".to_owned(),
            password: password.to_owned(),
        });
        Etcd::open(options).unwrap()
    };
    let wish = ValueName::wish();
    let mine = logged_in(Some("right")).store(UID);
    mine.swap(&wish, None, b"wish").await.unwrap();
    assert_eq!(shown(&mut mine.watch(&wish)).await.now.len(), 1);

    let not_mine = logged_in(Some("right")).store(uuid::Uuid::from_u128(8));
    for (store, says) in [
        (not_mine, "grant the user read and write"),
        (
            logged_in(Some("wrong")).store(UID),
            "check the user and the password",
        ),
        (logged_in(None).store(UID), "etcd demands a user"),
    ] {
        let text = chain(&store.get(&wish).await.unwrap_err());
        assert!(text.contains(says), "{text}");
        assert!(text.contains(&server.endpoint()), "{text}");
        let error = store.swap(&wish, None, b"").await.unwrap_err();
        assert!(matches!(error, SwapError::Failed(_)), "{error:?}");
        assert!(chain(&error).contains(says), "{}", chain(&error));
    }
}

#[tokio::test]
async fn a_user_whose_token_etcd_has_forgotten_is_logged_in_again() {
    let mut server = Server::start().unwrap();
    let mut admin = raw(&server).await;
    admin.user_add("root", "root", None).await.unwrap();
    admin.user_grant_role("root", "root").await.unwrap();
    admin.auth_enable().await.unwrap();
    let mut options = EtcdOptions::new([server.endpoint()]);
    options.user = Some(EtcdUser {
        name: "root".to_owned(),
        password: "root".to_owned(),
    });
    let values = Etcd::open(options).unwrap().store(UID);
    let wish = ValueName::wish();
    let mut watch = values.watch(&wish);
    assert!(shown(&mut watch).await.now.is_empty());
    // The connection stays, and its token is worth nothing any more.
    let root = ConnectOptions::new().with_user("root", "root");
    let mut admin = Client::connect([server.endpoint()], Some(root))
        .await
        .unwrap();
    admin.auth_disable().await.unwrap();
    raw(&server).await.auth_enable().await.unwrap();
    assert_eq!(values.get(&wish).await.unwrap(), None);
    // And with the connection.
    server.kill().unwrap();
    server.restart().unwrap();
    assert_eq!(values.get(&wish).await.unwrap(), None);
    let at = values.swap(&wish, None, b"1").await.unwrap();
    assert_eq!(shown(&mut watch).await.now[&wish].revision, at);
}
