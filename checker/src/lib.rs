//! Clients that record what they are told, and the proof over their records.
//!
//! ```no_run
//! # async fn example(options: quoit_checker::Options) -> Result<(), Box<dyn std::error::Error>> {
//! let run = quoit_checker::start(options).await?;
//! // … what is to be survived …
//! let records = run.finish().await?;
//! let report = quoit_checker::prove(&records);
//! println!("{report}");
//! # Ok(())
//! # }
//! ```

mod api;
mod availability;
pub mod cli;
mod client;
mod history;
mod http;
mod linear;
mod mix;
mod plan;
mod proof;
mod record;
mod recorder;
mod replicas;
mod rest;
mod run;
mod story;
mod tell;
mod versions;

pub use api::Failed;
pub use availability::{Availability, Row};
pub use mix::{BadMix, Mix};
pub use plan::Plan;
pub use proof::{Checked, Promise, Report, Verdict, Violation, prove};
pub use record::{
    Answer, Call, Kind, NoStamp, Outcome, Record, Records, ReplicaDigests, Seen, ShardDigests,
    Stamp, VnodeDigest,
};
pub use recorder::{FileError, read};
pub use run::{Create, Options, Run, StartError, start};
