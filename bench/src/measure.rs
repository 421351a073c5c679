//! The measurements, each in a module of its own.

mod away;
mod building;
mod commit;
mod copies;
mod failover;
mod filter;
mod grpc;
mod hop;
mod memory;
mod profile;
mod recall;
mod rest;
mod restart;
mod ring;
mod rounds;
mod search;
mod upload;

use crate::error::Result;
use crate::report::Section;
use crate::setting::Setting;

/// One measurement.
pub struct Measurement {
    /// What `--only` calls it.
    pub name: &'static str,
    /// What it measures, for people.
    pub about: &'static str,
    /// Makes it.
    pub run: fn(&Setting) -> Result<Section>,
}

/// All of them, in the order of the document.
pub const ALL: &[Measurement] = &[
    Measurement {
        name: "recall",
        about: "how many of the true neighbours are found",
        run: recall::run,
    },
    Measurement {
        name: "search",
        about: "searches in process against the bare library",
        run: search::run,
    },
    Measurement {
        name: "filter",
        about: "searches with filters, by each way that they can go",
        run: filter::run,
    },
    Measurement {
        name: "building",
        about: "searches while a payload index is built",
        run: building::run,
    },
    Measurement {
        name: "rest",
        about: "what a query over REST costs beside its search",
        run: rest::run,
    },
    Measurement {
        name: "grpc",
        about: "searches in batches and imports by gRPC",
        run: grpc::run,
    },
    Measurement {
        name: "upload",
        about: "loading and indexing against the bare build",
        run: upload::run,
    },
    Measurement {
        name: "commit",
        about: "many writers against one",
        run: commit::run,
    },
    Measurement {
        name: "memory",
        about: "memory after a load",
        run: memory::run,
    },
    Measurement {
        name: "restart",
        about: "from the start of the process to the first right answer",
        run: restart::run,
    },
    Measurement {
        name: "failover",
        about: "what clients see of a leader that is killed again and again",
        run: failover::run,
    },
    Measurement {
        name: "away",
        about: "searches while a replica that was away is given a copy",
        run: away::run,
    },
    Measurement {
        name: "copies",
        about: "three replicas against one: rate and bytes",
        run: copies::run,
    },
    Measurement {
        name: "rounds",
        about: "what it costs that a search sees every write",
        run: rounds::run,
    },
    Measurement {
        name: "hop",
        about: "what the router adds to a search",
        run: hop::run,
    },
    Measurement {
        name: "ring",
        about: "how evenly vnodes and keys are spread, and what a join moves",
        run: ring::run,
    },
];
