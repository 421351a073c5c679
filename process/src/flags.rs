//! The flags by which the programs of a cluster find each other: etcd, the
//! collection, the files of TLS. It decides their names, and which of them go
//! together.

use crate::telemetry::LogFormat;
use quoit_store::{EtcdOptions, EtcdUser, TlsFiles};
use serde::Serialize;
use std::io;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;
use uuid::Uuid;

/// How a program finds its collection and the others that serve it.
#[derive(Clone, Debug, clap::Args, Serialize)]
pub struct ClusterArgs {
    /// URLs of the members of one etcd, separated by commas: the ring and who belongs to it are
    /// kept there. Data is served without it, too.
    #[arg(
        long,
        value_name = "URL",
        value_delimiter = ',',
        required = true,
        env = "QUOIT_ETCD"
    )]
    pub etcd: Vec<String>,
    /// The collection's uid: the keys of its ring are below it.
    #[arg(long, value_name = "UID", env = "QUOIT_COLLECTION")]
    pub collection: Uuid,
    /// The zone of this machine: searches stay in their zone where they can.
    #[arg(long, value_name = "ZONE", default_value = "", env = "QUOIT_ZONE")]
    pub zone: String,
    /// The local address that connections to other programs are made from, on a machine with
    /// several.
    #[arg(long, value_name = "IP", env = "QUOIT_BIND_OUTGOING")]
    pub bind_outgoing: Option<IpAddr>,
    /// The files of TLS.
    #[command(flatten)]
    pub tls: TlsArgs,
    /// The user of etcd.
    #[command(flatten)]
    pub user: UserArgs,
    /// What to log.
    #[command(flatten)]
    pub logs: LogArgs,
    /// Print the configuration that flags and environment come to, and end.
    #[arg(long)]
    #[serde(skip)]
    pub print_config: bool,
}

/// What is logged by default. Of a member that is not reached openraft tells many times
/// a second, and the shard once.
const DEFAULT_LOG: &str = "info,fjall=warn,lsm_tree=warn,openraft=warn,openraft::replication=off,openraft::engine::handler::replication_handler=off";

/// What is logged, and how.
#[derive(Clone, Debug, clap::Args, Serialize)]
pub struct LogArgs {
    /// What to log: a level, or pairs such as `quoit_shard=debug`.
    #[arg(
        long,
        value_name = "FILTER",
        default_value = DEFAULT_LOG,
        env = "QUOIT_LOG"
    )]
    pub log: String,
    /// The form of log lines, on standard error.
    #[arg(long, value_enum, default_value = "auto", env = "QUOIT_LOG_FORMAT")]
    pub log_format: LogFormat,
}

/// Files in PEM.
#[derive(Clone, Debug, Default, clap::Args, Serialize)]
pub struct TlsArgs {
    /// Who signs the certificates of this cluster's programs. With it each shows its own and
    /// demands the other's, on all connections between them; without it they talk in the clear.
    /// The files are read at the start: restart a program whose files were renewed.
    #[arg(long, value_name = "FILE", requires_all = ["tls_cert", "tls_key"], env = "QUOIT_TLS_CA", help_heading = "TLS")]
    pub tls_ca: Option<PathBuf>,
    /// This program's certificate.
    #[arg(
        long,
        value_name = "FILE",
        requires = "tls_ca",
        env = "QUOIT_TLS_CERT",
        help_heading = "TLS"
    )]
    pub tls_cert: Option<PathBuf>,
    /// The key of it.
    #[arg(
        long,
        value_name = "FILE",
        requires = "tls_ca",
        env = "QUOIT_TLS_KEY",
        help_heading = "TLS"
    )]
    pub tls_key: Option<PathBuf>,
    /// Who signed the certificates of etcd, for endpoints with https.
    #[arg(long, value_name = "FILE", env = "QUOIT_ETCD_CA", help_heading = "TLS")]
    pub etcd_ca: Option<PathBuf>,
    /// The certificate that etcd demands of its clients.
    #[arg(long, value_name = "FILE", requires_all = ["etcd_ca", "etcd_key"], env = "QUOIT_ETCD_CERT", help_heading = "TLS")]
    pub etcd_cert: Option<PathBuf>,
    /// The key of it.
    #[arg(
        long,
        value_name = "FILE",
        requires = "etcd_cert",
        env = "QUOIT_ETCD_KEY",
        help_heading = "TLS"
    )]
    pub etcd_key: Option<PathBuf>,
}

/// A user of etcd.
#[derive(Clone, Debug, Default, clap::Args, Serialize)]
pub struct UserArgs {
    /// The user, where etcd has users.
    #[arg(
        long,
        value_name = "NAME",
        requires = "etcd_password_file",
        env = "QUOIT_ETCD_USER"
    )]
    pub etcd_user: Option<String>,
    /// A file with the user's password: on the command line everybody could read it.
    #[arg(
        long,
        value_name = "FILE",
        requires = "etcd_user",
        env = "QUOIT_ETCD_PASSWORD_FILE"
    )]
    pub etcd_password_file: Option<PathBuf>,
}

/// The password's file cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("--etcd-password-file {}: cannot be read", path.display())]
pub struct ReadPassword {
    path: PathBuf,
    source: io::Error,
}

impl ClusterArgs {
    /// How etcd is reached.
    ///
    /// # Errors
    /// The password cannot be read.
    pub fn etcd_options(&self) -> Result<EtcdOptions, ReadPassword> {
        let password = |path: &PathBuf| {
            let text = std::fs::read_to_string(path);
            let text = text.map_err(|source| ReadPassword {
                path: path.clone(),
                source,
            })?;
            Ok(text.trim_end_matches(['\r', '\n']).to_owned())
        };
        let UserArgs {
            etcd_user,
            etcd_password_file,
        } = &self.user;
        let user = match etcd_user.as_ref().zip(etcd_password_file.as_ref()) {
            Some((name, file)) => Some(EtcdUser {
                name: name.clone(),
                password: password(file)?,
            }),
            None => None,
        };
        let TlsArgs {
            etcd_ca,
            etcd_cert,
            etcd_key,
            ..
        } = &self.tls;
        Ok(EtcdOptions {
            tls: etcd_ca.as_ref().map(|ca| TlsFiles {
                ca: ca.clone(),
                identity: etcd_cert.clone().zip(etcd_key.clone()),
            }),
            user,
            deadline: Duration::from_secs(3),
            ..EtcdOptions::new(&self.etcd)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Debug, Parser)]
    struct Cli {
        #[command(flatten)]
        cluster: ClusterArgs,
    }

    const UID: &str = "6f1c2a9e-0000-4000-8000-000000000001";

    fn parse(flags: &[&str]) -> Result<ClusterArgs, String> {
        let always = [
            "quoit-x",
            "--etcd",
            "http://a:1,http://b:2",
            "--collection",
            UID,
        ];
        let all = always.iter().chain(flags);
        Cli::try_parse_from(all)
            .map(|cli| cli.cluster)
            .map_err(|e| e.to_string())
    }

    #[test]
    fn several_endpoints_are_told_apart() {
        let options = parse(&[]).unwrap().etcd_options().unwrap();
        assert_eq!(options.endpoints, ["http://a:1", "http://b:2"]);
        assert!(options.tls.is_none() && options.user.is_none());
    }

    #[test]
    fn flags_that_are_nothing_without_another_name_it() {
        for (flags, lacks) in [
            (&["--tls-ca", "ca"][..], "--tls-cert"),
            (&["--tls-cert", "c", "--tls-key", "k"], "--tls-ca"),
            (&["--etcd-cert", "c", "--etcd-key", "k"], "--etcd-ca"),
            (&["--etcd-ca", "ca", "--etcd-cert", "c"], "--etcd-key"),
            (&["--etcd-user", "u"], "--etcd-password-file"),
        ] {
            let error = parse(flags).unwrap_err();
            assert!(error.contains(lacks), "{flags:?}: {error}");
        }
        let error =
            Cli::try_parse_from(["quoit-x", "--etcd", "http://a:1", "--collection", "docs"]);
        let error = error.unwrap_err().to_string();
        assert!(error.contains("--collection"), "{error}");
    }

    #[test]
    fn a_password_is_read_without_the_end_of_its_line_and_never_shown() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("password");
        std::fs::write(&file, "secret\n").unwrap();
        let path = file.to_str().unwrap();
        let args = parse(&["--etcd-user", "u", "--etcd-password-file", path]).unwrap();
        let options = args.etcd_options().unwrap();
        assert_eq!(options.user.unwrap().password, "secret");
        assert!(!serde_yaml::to_string(&args).unwrap().contains("secret"));
        std::fs::remove_file(&file).unwrap();
        let error = args.etcd_options().unwrap_err().to_string();
        assert!(error.contains("--etcd-password-file"), "{error}");
    }
}
