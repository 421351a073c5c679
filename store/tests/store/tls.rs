//! The store in a real etcd that serves by TLS, and every way in which the
//! files for it can be wrong.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use quoit_ring::{StoreError, SwapError, ValueName, Values};
use quoit_store::{Etcd, EtcdOptions, OptionsError, TlsFiles};
use quoit_testkit_etcd::{Etcd as Server, Tls};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, date_time_ymd,
};
use tempfile::TempDir;

use crate::support::{UID, chain, shown, soon};

/// A folder with certificates.
struct Files(TempDir);

type Ca = Issuer<'static, KeyPair>;

impl Files {
    fn new() -> Self {
        Self(TempDir::new().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, content: &str) -> PathBuf {
        fs::write(self.path(name), content).unwrap();
        self.path(name)
    }

    /// A CA, with its certificate in `NAME.pem`.
    fn ca(&self, name: &str, expired: bool) -> Ca {
        let mut params = params(name, &[], expired);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        self.write(&format!("{name}.pem"), &certificate.pem());
        Issuer::new(params, key)
    }

    /// A certificate and its key, in `NAME.pem` and `NAME.key`.
    fn signed(&self, name: &str, host: &str, ca: &Ca, expired: bool) -> (PathBuf, PathBuf) {
        let mut params = params(name, &[host], expired);
        params.extended_key_usages = vec![
            ExtendedKeyUsagePurpose::ServerAuth,
            ExtendedKeyUsagePurpose::ClientAuth,
        ];
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, ca).unwrap();
        (
            self.write(&format!("{name}.pem"), &certificate.pem()),
            self.write(&format!("{name}.key"), &key.serialize_pem()),
        )
    }

    /// An etcd whose CA is `ca`, with a certificate for this host.
    fn serve(&self, ca: &Ca, host: &str, expired: bool) -> Server {
        let (certificate, key) = self.signed("server", host, ca, expired);
        let tls = Tls {
            ca: self.path("ca.pem"),
            certificate,
            key,
        };
        Server::start_tls(&tls).unwrap()
    }
}

fn params(name: &str, hosts: &[&str], expired: bool) -> CertificateParams {
    let hosts: Vec<_> = hosts.iter().map(|host| (*host).to_owned()).collect();
    let mut params = CertificateParams::new(hosts).unwrap();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.not_before = date_time_ymd(2020, 1, 1);
    params.not_after = date_time_ymd(if expired { 2021 } else { 4000 }, 1, 1);
    params
}

fn options(endpoint: &str, ca: PathBuf, identity: Option<(PathBuf, PathBuf)>) -> EtcdOptions {
    let mut options = EtcdOptions::new([endpoint]);
    options.tls = Some(TlsFiles { ca, identity });
    options.deadline = Duration::from_secs(3);
    options
}

/// What a read says, that must fail; a swap must have had no effect.
async fn fails(etcd: &Etcd) -> String {
    let store = etcd.store(UID);
    let error = store.get(&ValueName::wish()).await.unwrap_err();
    let swap = store.swap(&ValueName::wish(), None, b"").await.unwrap_err();
    assert!(matches!(swap, SwapError::Failed(_)), "{swap:?}");
    assert!(matches!(error, StoreError::Unavailable { .. }), "{error:?}");
    chain(&error)
}

#[tokio::test]
async fn with_the_right_files_values_are_written_and_read() {
    let files = Files::new();
    let ca = files.ca("ca", false);
    let server = files.serve(&ca, "127.0.0.1", false);
    let identity = files.signed("client", "client", &ca, false);
    let options = options(&server.endpoint(), files.path("ca.pem"), Some(identity));
    let store = Etcd::open(options).unwrap().store(UID);
    let at = store.swap(&ValueName::wish(), None, b"wish").await.unwrap();
    let kept = store.get(&ValueName::wish()).await.unwrap().unwrap();
    assert_eq!((kept.revision, &*kept.value), (at, &b"wish"[..]));
}

#[tokio::test]
async fn files_that_cannot_be_used_are_named_before_anything_is_sent() {
    let files = Files::new();
    let ca = files.ca("ca", false);
    let expired_ca = files.ca("expired-ca", true);
    let (certificate, key) = files.signed("client", "client", &ca, false);
    let (_, other_key) = files.signed("other", "other", &ca, false);
    let (expired, expired_key) = files.signed("expired", "expired", &ca, true);
    drop(expired_ca);
    let empty = files.write("empty", "");
    let missing = files.path("missing");
    let mut torn = fs::read_to_string(files.path("ca.pem")).unwrap();
    torn.truncate(100);
    let torn = files.write("torn", &torn);
    let good = files.path("ca.pem");

    let with = |certificate: &PathBuf, key: &PathBuf| Some((certificate.clone(), key.clone()));
    let cases = [
        (
            &missing,
            None,
            "CA certificate FILE cannot be read",
            &missing,
        ),
        (
            &empty,
            None,
            "FILE is not the CA certificate; it must have one in PEM",
            &empty,
        ),
        (&torn, None, "FILE is not the CA certificate", &torn),
        (&key, None, "FILE is not the CA certificate", &key),
        (
            &files.path("expired-ca.pem"),
            None,
            "FILE is valid from Jan  1 00:00:00 2020",
            &files.path("expired-ca.pem"),
        ),
        (
            &good,
            with(&missing, &key),
            "client certificate FILE cannot be read; put it there",
            &missing,
        ),
        (
            &good,
            with(&certificate, &missing),
            "key of the client certificate FILE cannot be read",
            &missing,
        ),
        (
            &good,
            with(&key, &key),
            "FILE is not the client certificate",
            &key,
        ),
        (
            &good,
            with(&certificate, &certificate),
            "FILE is not the key of the client certificate",
            &certificate,
        ),
        (
            &good,
            with(&certificate, &other_key),
            "the key FILE is not that of the client certificate",
            &other_key,
        ),
        (
            &good,
            with(&expired, &expired_key),
            "to Jan  1 00:00:00 2021 +00:00, and that is not now; renew it",
            &expired,
        ),
    ];
    for (ca, identity, says, file) in cases {
        let options = options("https://127.0.0.1:1", ca.clone(), identity);
        let Err(error) = Etcd::open(options) else {
            panic!("opened: {says}");
        };
        assert!(matches!(error, OptionsError::Tls(_)), "{error:?}");
        let text = chain(&error);
        let file = file.display().to_string();
        assert!(
            text.contains(&says.replace("FILE", &file)),
            "{text}\n{says}"
        );
        assert!(text.contains(&file), "{text}");
    }
}

#[tokio::test]
async fn an_expired_ca_beside_its_successor_is_no_error() {
    let files = Files::new();
    let ca = files.ca("ca", false);
    files.ca("old", true);
    let pem = |name| fs::read_to_string(files.path(name)).unwrap();
    let both = files.write("both", &(pem("old.pem") + &pem("ca.pem")));
    let server = files.serve(&ca, "127.0.0.1", false);
    let identity = files.signed("client", "client", &ca, false);
    let store = Etcd::open(options(&server.endpoint(), both, Some(identity))).unwrap();
    store.store(UID).get(&ValueName::wish()).await.unwrap();
}

#[tokio::test]
async fn a_certificate_of_etcd_that_is_not_trusted_is_explained() {
    let files = Files::new();
    let ca = files.ca("ca", false);
    files.ca("other-ca", false);
    let identity = Some(files.signed("client", "client", &ca, false));
    let cases = [
        (
            "other-ca.pem",
            "127.0.0.1",
            "is not signed by the CA in OTHER; give the CA that signed it",
        ),
        (
            "ca.pem",
            "10.0.0.1",
            "use a name that its certificate is for",
        ),
    ];
    for (trusted, host, says) in cases {
        let server = files.serve(&ca, host, false);
        let etcd = Etcd::open(options(
            &server.endpoint(),
            files.path(trusted),
            identity.clone(),
        ));
        let text = fails(&etcd.unwrap()).await;
        let says = says.replace("OTHER", &files.path(trusted).display().to_string());
        assert!(text.contains(&says), "{text}");
        assert!(text.contains(&server.endpoint()), "{text}");
    }
}

#[tokio::test]
async fn an_expired_certificate_of_etcd_is_explained() {
    let files = Files::new();
    let ca = files.ca("ca", false);
    let identity = Some(files.signed("client", "client", &ca, false));
    let server = files.serve(&ca, "127.0.0.1", true);
    let etcd = Etcd::open(options(&server.endpoint(), files.path("ca.pem"), identity));
    let text = fails(&etcd.unwrap()).await;
    assert!(
        text.contains("its certificate has expired; renew the certificate of etcd"),
        "{text}"
    );
}

#[tokio::test]
async fn a_client_certificate_that_etcd_does_not_accept_is_named() {
    let files = Files::new();
    let ca = files.ca("ca", false);
    let other = files.ca("other-ca", false);
    let server = files.serve(&ca, "127.0.0.1", false);
    let foreign = files.signed("foreign", "client", &other, false);
    let named = foreign.0.display().to_string();
    let cases = [
        (
            Some(foreign),
            format!("it does not accept the client certificate {named}"),
        ),
        (None, "it demands a client certificate".to_owned()),
    ];
    for (identity, says) in cases {
        let etcd = Etcd::open(options(&server.endpoint(), files.path("ca.pem"), identity));
        let text = fails(&etcd.unwrap()).await;
        assert!(text.contains(&says), "{text}");
    }
}

#[tokio::test]
async fn tls_and_plain_text_that_meet_are_explained() {
    let files = Files::new();
    let ca = files.ca("ca", false);
    let plain = Server::start().unwrap();
    let identity = files.signed("client", "client", &ca, false);
    let https = plain.endpoint().replace("http:", "https:");
    let etcd = Etcd::open(options(&https, files.path("ca.pem"), Some(identity))).unwrap();
    let text = fails(&etcd).await;
    assert!(
        text.contains("if it does not speak TLS, use http"),
        "{text}"
    );
}

#[tokio::test]
async fn a_renewed_certificate_is_used_without_a_restart() {
    let files = Files::new();
    let ca = files.ca("ca", false);
    let other = files.ca("other-ca", false);
    let mut server = files.serve(&ca, "127.0.0.1", false);
    // Not accepted at first, as one that has expired would not be.
    let identity = files.signed("client", "client", &other, false);
    let etcd = Etcd::open(options(
        &server.endpoint(),
        files.path("ca.pem"),
        Some(identity),
    ));
    let etcd = etcd.unwrap();
    fails(&etcd).await;
    files.signed("client", "client", &ca, false);
    let store = etcd.store(UID);
    let at = store.swap(&ValueName::wish(), None, b"1").await.unwrap();
    let mut watch = store.watch(&ValueName::wish());
    assert_eq!(shown(&mut watch).await.now.len(), 1);

    // A file that is bad while etcd is away is named, and mended in place.
    files.write("client.pem", "");
    server.kill().unwrap();
    server.restart().unwrap();
    let text = soon("the error", async {
        loop {
            if let Err(error) = store.get(&ValueName::wish()).await {
                break chain(&error);
            }
        }
    });
    let text = text.await;
    assert!(
        text.contains("client.pem is not the client certificate"),
        "{text}"
    );
    files.signed("client", "client", &ca, false);
    let kept = store.get(&ValueName::wish()).await.unwrap().unwrap();
    assert_eq!(kept.revision, at);
}
