//! How a vector is compared and indexed: metric, kind of index, and the
//! parameters of a graph. The documentation here is what `kubectl explain`
//! prints.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::schema::tidy;

/// How the likeness of two vectors is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum Metric {
    /// The cosine of the angle between two vectors. Higher is closer.
    Cosine,
    /// The dot product. Higher is closer.
    Dot,
    /// The Euclidean distance. Lower is closer.
    Euclid,
    /// The sum of the absolute differences. Lower is closer.
    Manhattan,
}

/// The kind of a vector index.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum IndexType {
    /// A graph: fast and approximate.
    #[default]
    #[serde(rename = "HNSW")]
    Hnsw,
    /// No index: each search compares with every vector. Exact.
    Flat,
}

/// How a graph stores its copy of the vectors.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum Precision {
    /// Two bytes a dimension.
    #[default]
    #[serde(rename = "BF16")]
    Bf16,
    /// One byte a dimension.
    I8,
    /// Four bytes a dimension.
    F32,
}

/// How a vector is indexed. It can be changed at any time; the index is then rebuilt in the
/// background.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(transform = tidy)]
#[x_kube(validation = Rule::new("self.type == 'HNSW' || !has(self.hnsw)")
    .message("hnsw is for type HNSW: remove hnsw, or set type to HNSW")
    .field_path(".hnsw"))]
pub struct IndexSpec {
    /// The kind of index: HNSW, a graph, fast and approximate; or Flat, which compares with
    /// every vector, exact, and right for up to some ten thousand vectors a shard. Default: HNSW.
    #[serde(rename = "type", default)]
    pub kind: IndexType,

    /// The parameters of the graph. Only with type HNSW.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hnsw: Option<HnswSpec>,

    /// How the graph stores its copy of the vectors: BF16 (two bytes a dimension), I8 (one) or
    /// F32 (four). Results are always ranked on the full vectors, so this trades memory and
    /// speed for a little recall. Flat keeps no copy and does not use it. Default: BF16.
    #[serde(default)]
    pub precision: Precision,
}

/// The parameters of an HNSW graph.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(transform = tidy)]
pub struct HnswSpec {
    /// Links that each vector has in the graph. More give higher recall, and take more memory.
    /// From 4 to 128. Default: 16.
    #[serde(default = "default_m")]
    #[schemars(range(min = HnswSpec::M.0, max = HnswSpec::M.1))]
    pub m: u32,

    /// Candidates weighed when a vector is linked into the graph. More give a better graph, built
    /// more slowly. From 4 to 4096. Default: 128.
    #[serde(default = "default_ef_construction")]
    #[schemars(range(min = HnswSpec::EF_CONSTRUCTION.0, max = HnswSpec::EF_CONSTRUCTION.1))]
    pub ef_construction: u32,

    /// Candidates kept while searching, unless the request names its own number. More give higher
    /// recall, and slower searches. From 1 to 4096. Default: 64.
    #[serde(default = "default_ef_search")]
    #[schemars(range(min = HnswSpec::EF_SEARCH.0, max = HnswSpec::EF_SEARCH.1))]
    pub ef_search: u32,
}

impl HnswSpec {
    /// Least and greatest `m`.
    pub const M: (u32, u32) = (4, 128);
    /// Least and greatest `efConstruction`.
    pub const EF_CONSTRUCTION: (u32, u32) = (4, 4096);
    /// Least and greatest `efSearch`.
    pub const EF_SEARCH: (u32, u32) = (1, 4096);
}

impl Default for HnswSpec {
    fn default() -> Self {
        Self {
            m: default_m(),
            ef_construction: default_ef_construction(),
            ef_search: default_ef_search(),
        }
    }
}

fn default_m() -> u32 {
    16
}

fn default_ef_construction() -> u32 {
    128
}

fn default_ef_search() -> u32 {
    64
}
