//! What is wished of a collection, as a value beside its ring: the operator
//! writes it, or whoever plays it. It decides the form, which is JSON because
//! people look at it.

use quoit_crds::VectorCollectionSpec;
use serde::{Deserialize, Serialize};

/// A collection as it is to be.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Wish {
    /// +1 for each change. Who has acted on one does not act on an earlier one: a
    /// store that was set back shows old wishes.
    pub generation: u64,
    /// What clients call the collection.
    pub name: String,
    /// What its owner asks for.
    pub spec: VectorCollectionSpec,
}

/// Bytes that are no wish.
#[derive(Debug, thiserror::Error)]
#[error("the wish is not as Quoit writes it; apply the collection again")]
pub struct BadWish(#[source] serde_json::Error);

impl Wish {
    /// The bytes to keep.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        // A spec was read from text: there is nothing in it that JSON lacks.
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// The wish that was kept.
    ///
    /// # Errors
    /// The bytes are none.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, BadWish> {
        serde_json::from_slice(bytes).map_err(BadWish)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use quoit_crds::Metric;

    #[test]
    fn a_wish_is_read_as_it_was_written() {
        let wish = Wish {
            generation: 3,
            name: "docs".to_owned(),
            spec: VectorCollectionSpec::unnamed(384, Metric::Cosine),
        };
        assert_eq!(Wish::from_bytes(&wish.to_bytes()).unwrap(), wish);
    }

    #[test]
    fn what_is_no_wish_is_said_with_the_remedy() {
        for bytes in [&b""[..], b"{}", b"[1]"] {
            let error = Wish::from_bytes(bytes).unwrap_err().to_string();
            assert!(error.contains("apply the collection again"), "{error}");
        }
    }
}
