//! Replicas that talk by TLS: each shows who it is, and nobody else is let in.

use crate::support::{Cluster, PATIENCE, Replica, count, put};
use quoit_proto::reach::Reach;
use quoit_proto::{ErrorKind, RemoteShard};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    date_time_ymd,
};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tempfile::TempDir;
use tonic::transport::{Certificate, ClientTlsConfig, Identity};

type Ca = Issuer<'static, KeyPair>;

fn ca(dir: &Path, name: &str) -> Ca {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().unwrap();
    let certificate = params.self_signed(&key).unwrap();
    fs::write(dir.join(format!("{name}.pem")), certificate.pem()).unwrap();
    Issuer::new(params, key)
}

/// A certificate that is valid until a year, and its key, in `NAME.pem` and `NAME.key`.
fn signed(dir: &Path, name: &str, ca: &Ca, until: i32) -> (PathBuf, PathBuf) {
    let until = |params: &mut CertificateParams| params.not_after = date_time_ymd(until, 1, 1);
    signed_until(dir, name, ca, until)
}

fn signed_until(
    dir: &Path,
    name: &str,
    ca: &Ca,
    until: impl FnOnce(&mut CertificateParams),
) -> (PathBuf, PathBuf) {
    let mut params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
    params.not_before = date_time_ymd(2020, 1, 1);
    until(&mut params);
    params.extended_key_usages = vec![
        ExtendedKeyUsagePurpose::ServerAuth,
        ExtendedKeyUsagePurpose::ClientAuth,
    ];
    let key = KeyPair::generate().unwrap();
    let certificate = params.signed_by(&key, ca).unwrap();
    let (certificate_file, key_file) = (
        dir.join(format!("{name}.pem")),
        dir.join(format!("{name}.key")),
    );
    fs::write(&certificate_file, certificate.pem()).unwrap();
    fs::write(&key_file, key.serialize_pem()).unwrap();
    (certificate_file, key_file)
}

fn flags(ca: &Path, (certificate, key): &(PathBuf, PathBuf)) -> Vec<String> {
    let text = |path: &Path| path.display().to_string();
    let flags = [
        ("--tls-ca", text(ca)),
        ("--tls-cert", text(certificate)),
        ("--tls-key", text(key)),
    ];
    flags
        .into_iter()
        .flat_map(|(f, v)| [f.to_owned(), v])
        .collect()
}

/// Whoever reaches it with this, or with nothing.
fn client(address: &str, tls: Option<ClientTlsConfig>) -> RemoteShard {
    let reach = Reach { tls, from: None };
    RemoteShard::new(reach.channel(address).unwrap())
}

fn identity((certificate, key): &(PathBuf, PathBuf)) -> Identity {
    Identity::from_pem(fs::read(certificate).unwrap(), fs::read(key).unwrap())
}

#[tokio::test]
async fn replicas_of_one_authority_talk_and_nobody_else_is_let_in() {
    let dir = TempDir::new().unwrap();
    let (ours, others) = (ca(dir.path(), "ours"), ca(dir.path(), "others"));
    let pair = signed(dir.path(), "replica", &ours, 4000);
    let mut cluster = Cluster::new(3).await;
    for replica in &mut cluster.replicas {
        replica
            .flags
            .extend(flags(&dir.path().join("ours.pem"), &pair));
    }
    cluster.start_all();
    cluster.ready(3).await;

    let authority = Certificate::from_pem(fs::read(dir.path().join("ours.pem")).unwrap());
    let trusting = ClientTlsConfig::new().ca_certificate(authority);
    let known = trusting.clone().identity(identity(&pair));
    let mut written = 0;
    let begun = std::time::Instant::now();
    while written == 0 {
        for replica in &cluster.replicas {
            let client = client(&replica.address.to_string(), Some(known.clone()));
            written += u64::from(put(&client, 1).await.is_ok());
        }
        assert!(begun.elapsed() < PATIENCE);
    }
    let address = cluster.replicas[0].address.to_string();
    let stranger = signed(dir.path(), "stranger", &others, 4000);
    for tls in [
        None,
        Some(trusting.clone()),
        Some(trusting.identity(identity(&stranger))),
    ] {
        let error = count(&client(&address, tls)).await.unwrap_err();
        let kinds = [ErrorKind::Unknown, ErrorKind::Unavailable];
        assert!(kinds.contains(&error.kind), "{error}");
    }
    assert_eq!(count(&client(&address, Some(known))).await.unwrap(), 1);
}

#[tokio::test]
async fn files_that_cannot_be_used_are_named_before_anything_is_touched() {
    let dir = TempDir::new().unwrap();
    let ours = ca(dir.path(), "ours");
    let good = signed(dir.path(), "good", &ours, 4000);
    let other = signed(dir.path(), "other", &ours, 4000);
    let expired = signed(dir.path(), "expired", &ours, 2021);
    let ours = dir.path().join("ours.pem");
    let garbage = dir.path().join("garbage");
    fs::write(&garbage, "garbage").unwrap();
    for (ca, pair, says) in [
        (&ours, (good.0.clone(), other.1), "is not that of"),
        (&ours, expired, "renew it"),
        (&garbage, good.clone(), "must have one in PEM"),
        (&ours, (good.0, garbage.clone()), "must have one in PEM"),
    ] {
        let mut cluster = Cluster::without_collection(1);
        cluster.replicas[0].flags.extend(flags(ca, &pair));
        cluster.start(0);
        assert_eq!(cluster.replicas[0].ended().code(), Some(1));
        let said = cluster.replicas[0].said();
        assert!(said.contains("--tls") && said.contains(says), "{said}");
        assert!(!cluster.replicas[0].data.exists());
    }
}

#[tokio::test]
async fn one_with_a_certificate_of_another_authority_is_kept_out_is_told_why_and_the_others_go_on()
{
    let dir = TempDir::new().unwrap();
    let (ours, others) = (ca(dir.path(), "ours"), ca(dir.path(), "others"));
    let pair = signed(dir.path(), "replica", &ours, 4000);
    let stranger = signed(dir.path(), "stranger", &others, 4000);
    let mut cluster = Cluster::new(3).await;
    let good = flags(&dir.path().join("ours.pem"), &pair);
    let usual = cluster.replicas[2].flags.clone();
    for place in 0..2 {
        cluster.replicas[place].flags.extend(good.clone());
    }
    let bad = flags(&dir.path().join("others.pem"), &stranger);
    cluster.replicas[2].flags.extend(bad);
    cluster.start_all();
    cluster.ready(2).await;
    let authority = Certificate::from_pem(fs::read(dir.path().join("ours.pem")).unwrap());
    let known = ClientTlsConfig::new()
        .ca_certificate(authority)
        .identity(identity(&pair));
    let mut written = 0;
    crate::support::until("a write", async || {
        for replica in &cluster.replicas[..2] {
            let client = client(&replica.address.to_string(), Some(known.clone()));
            written += u64::from(put(&client, 1).await.is_ok());
        }
        (written > 0).then_some(())
    })
    .await;
    let kept_out = &cluster.replicas[2];
    kept_out.is_unready("it knows of no leader").await;
    let remedy = "; are --tls-ca, --tls-cert and --tls-key of all programs of the cluster";
    kept_out.has_said(remedy).await;
    crate::support::until("the leader to say why", async || {
        let mut said = cluster.replicas[..2].iter().map(Replica::said);
        said.any(|said| said.contains(remedy)).then_some(())
    })
    .await;

    // With the right files it comes in.
    cluster.replicas[2].kill();
    cluster.replicas[2].flags = usual;
    cluster.replicas[2].flags.extend(good);
    cluster.start(2);
    cluster.ready(3).await;
}

/// How long the certificate lasts that expires while replicas run: long enough for them to
/// start on a machine that has much to do.
const LASTS: Duration = Duration::from_secs(40);

#[tokio::test]
async fn a_certificate_that_expires_is_spoken_of_before_and_after_and_takes_no_open_connection() {
    let dir = TempDir::new().unwrap();
    let ours = ca(dir.path(), "ours");
    let pair = signed_until(dir.path(), "replica", &ours, |params| {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        params.not_after = date_time_ymd(1970, 1, 1) + now + LASTS;
    });
    let (file, authority) = (pair.0.display().to_string(), dir.path().join("ours.pem"));
    let mut cluster = Cluster::new(3).await;
    for replica in &mut cluster.replicas {
        replica.flags.extend(flags(&authority, &pair));
    }
    cluster.start_all();
    for replica in &cluster.replicas {
        replica
            .has_said(&format!("{file} expires soon: renew it"))
            .await;
    }
    cluster.ready(3).await;
    let authority = Certificate::from_pem(fs::read(authority).unwrap());
    let trusting = ClientTlsConfig::new().ca_certificate(authority);
    let known = trusting.clone().identity(identity(&pair));
    let clients = cluster
        .replicas
        .iter()
        .map(|replica| client(&replica.address.to_string(), Some(known.clone())));
    let clients: Vec<_> = clients.collect();
    let written = async |id| {
        crate::support::until("a write", async || {
            for client in &clients {
                if put(client, id).await.is_ok() {
                    return Some(());
                }
            }
            None
        })
        .await;
    };
    written(1).await;
    for client in &clients {
        assert_eq!(count(client).await.unwrap(), 1);
    }

    for replica in &cluster.replicas {
        replica.has_said(&format!("{file} has expired")).await;
        replica.has_said("renew it, and restart this program").await;
    }
    // What is connected goes on, between replicas too.
    written(2).await;
    for client in &clients {
        assert_eq!(count(client).await.unwrap(), 2);
    }
    cluster.ready(3).await;
    // Who comes anew is not believed, and does not believe.
    let valid = signed(dir.path(), "valid", &ours, 4000);
    let address = cluster.replicas[0].address.to_string();
    for tls in [known, trusting.clone().identity(identity(&valid))] {
        let error = count(&client(&address, Some(tls))).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Unavailable, "{error}");
        assert!(error.message.to_lowercase().contains("expired"), "{error}");
    }
    // One that loses its connections is cut off, and says what to look at.
    cluster.replicas[0].kill();
    cluster.start(0);
    assert_eq!(cluster.replicas[0].ended().code(), Some(1));
    let said = cluster.replicas[0].said();
    assert!(
        said.contains(&file) && said.contains("renew it, or set the clock"),
        "{said}"
    );

    // Renewed, and started anew one behind the other.
    fs::copy(&valid.0, &pair.0).unwrap();
    fs::copy(&valid.1, &pair.1).unwrap();
    cluster.start(0);
    for place in [1, 2] {
        cluster.replicas[0]
            .has_said("Restart those whose files were renewed")
            .await;
        cluster.replicas[place].terminate();
        cluster.start(place);
    }
    cluster.ready(3).await;
    let renewed = trusting.identity(identity(&valid));
    crate::support::until("all to have all", async || {
        for replica in &cluster.replicas {
            let client = client(&replica.address.to_string(), Some(renewed.clone()));
            if count(&client).await.ok()? != 2 {
                return None;
            }
        }
        Some(())
    })
    .await;
}
