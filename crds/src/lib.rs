//! The `VectorCollection` API: its types, the rules that a collection must
//! keep, the generated CRD, and the reading of YAML files.
//!
//! ```text
//! YAML text ──load──▶ VectorCollection ──validate──▶ resolved vectors
//!                        │ ▲                   ▲
//!            kubectl ────┘ └── REST clients    └── the same rules as CEL in the CRD
//! ```
//!
//! The rules exist twice, because two judges apply them: the API server reads
//! them from the CRD as OpenAPI bounds and CEL, local mode runs them in Rust
//! (module `validate`). A test holds both to the same verdicts.

mod collection;
mod index;
mod load;
mod name;
mod resolved;
mod schema;
mod structure;
mod text;
mod validate;
mod violation;
mod yaml;

pub use collection::{
    Limits, MAX_DIMENSION, MAX_SHARDS, MAX_VECTORS, Partitioning, PartitioningType, PayloadIndex,
    PayloadIndexType, REPLICA_COUNTS, Ring, Storage, VectorCollection, VectorCollectionSpec,
    VectorSpec,
};
pub use index::{HnswSpec, IndexSpec, IndexType, Metric, Precision};
pub use load::{LoadError, Position, Problem, load};
pub use name::{BadName, CollectionName};
pub use resolved::{HnswParams, IndexParams, VectorParams};
pub use schema::crd_yaml;
pub use text::{MAX_PREFIX, TextAnalysis, TextTokenizer};
pub use violation::{FieldPath, Invalid, Segment, Violation};
