//! One shape for what can be written in two: the vectors of a collection with
//! everything decided, whether it gave the short form or the list. The rest of
//! the system sees only this.

use crate::collection::{VectorCollectionSpec, VectorSpec};
use crate::index::{HnswSpec, IndexSpec, IndexType, Metric, Precision};
use crate::violation::Invalid;

/// A vector that each point of a collection has.
#[derive(Clone, Debug, PartialEq)]
pub struct VectorParams {
    /// The name by which requests choose it; empty for the one they mean when they name none.
    pub name: String,
    /// The number of dimensions.
    pub dimension: u32,
    /// How vectors are compared.
    pub metric: Metric,
    /// How they are indexed.
    pub index: IndexParams,
}

/// How vectors are indexed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IndexParams {
    /// A graph.
    Hnsw(HnswParams),
    /// No index: each search compares with every vector.
    Flat,
}

/// The parameters of a graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HnswParams {
    /// Links a vector has in the graph.
    pub m: u32,
    /// Candidates weighed when a vector is linked.
    pub ef_construction: u32,
    /// Candidates kept while searching, unless the request says.
    pub ef_search: u32,
    /// How the graph stores its copy of the vectors.
    pub precision: Precision,
}

impl VectorCollectionSpec {
    /// The vectors of the collection, from whichever form it gives, in the
    /// order given.
    ///
    /// # Errors
    /// A specification that breaks rules has no meaning: what
    /// [`validate`](Self::validate) says of it.
    pub fn resolved(&self) -> Result<Vec<VectorParams>, Invalid> {
        self.validate()?;
        Ok(self.vectors_given())
    }

    /// The same for a specification that may break rules; what is incomplete
    /// is left out.
    pub(crate) fn vectors_given(&self) -> Vec<VectorParams> {
        match (&self.vectors, self.dimension, self.metric) {
            (Some(vectors), _, _) => vectors.iter().map(VectorParams::from).collect(),
            (None, Some(dimension), Some(metric)) => vec![VectorParams {
                name: String::new(),
                dimension,
                metric,
                index: self.index.clone().unwrap_or_default().into(),
            }],
            (None, _, _) => Vec::new(),
        }
    }
}

impl From<&VectorSpec> for VectorParams {
    fn from(vector: &VectorSpec) -> Self {
        let VectorSpec {
            name,
            dimension,
            metric,
            index,
        } = vector.clone();
        Self {
            name,
            dimension,
            metric,
            index: index.into(),
        }
    }
}

impl From<IndexSpec> for IndexParams {
    fn from(index: IndexSpec) -> Self {
        let IndexSpec {
            kind,
            hnsw,
            precision,
        } = index;
        match kind {
            IndexType::Flat => Self::Flat,
            IndexType::Hnsw => {
                let HnswSpec {
                    m,
                    ef_construction,
                    ef_search,
                } = hnsw.unwrap_or_default();
                Self::Hnsw(HnswParams {
                    m,
                    ef_construction,
                    ef_search,
                    precision,
                })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEFAULT_INDEX: IndexParams = IndexParams::Hnsw(HnswParams {
        m: 16,
        ef_construction: 128,
        ef_search: 64,
        precision: Precision::Bf16,
    });

    #[test]
    fn the_short_form_and_the_list_resolve_to_the_same() {
        let short = VectorCollectionSpec::unnamed(384, Metric::Cosine);
        let list = VectorCollectionSpec::named(vec![VectorSpec {
            name: String::new(),
            dimension: 384,
            metric: Metric::Cosine,
            index: IndexSpec::default(),
        }]);
        assert_eq!(short.resolved(), list.resolved());
        assert_eq!(
            short.resolved().unwrap(),
            [VectorParams {
                name: String::new(),
                dimension: 384,
                metric: Metric::Cosine,
                index: DEFAULT_INDEX,
            }]
        );
    }

    #[test]
    fn what_an_index_does_not_say_is_filled_in() {
        let mut spec = VectorCollectionSpec::unnamed(2, Metric::Dot);
        let index_of = |spec: &VectorCollectionSpec| spec.resolved().unwrap()[0].index;
        assert_eq!(index_of(&spec), DEFAULT_INDEX);
        spec.index = Some(IndexSpec {
            precision: Precision::I8,
            ..IndexSpec::default()
        });
        let IndexParams::Hnsw(hnsw) = index_of(&spec) else {
            panic!("a graph is the default");
        };
        assert_eq!((hnsw.m, hnsw.precision), (16, Precision::I8));
        spec.index = Some(IndexSpec {
            kind: IndexType::Flat,
            ..IndexSpec::default()
        });
        assert_eq!(index_of(&spec), IndexParams::Flat);
    }

    #[test]
    fn a_specification_that_breaks_rules_resolves_to_nothing() {
        let spec = VectorCollectionSpec::unnamed(0, Metric::Dot);
        let invalid = spec.resolved().unwrap_err();
        assert_eq!(
            invalid.to_string(),
            "spec.dimension is 0: set it to a whole number from 1 to 65536"
        );
    }
}
