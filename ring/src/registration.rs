//! What a node says of itself in a value beside the ring, so that others find
//! it. It decides the form, which is JSON because people look at it.

use serde::{Deserialize, Serialize};

/// Where a node of a group is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Registration {
    /// Where it is reached, as `host:port`.
    pub address: String,
    /// The zone it runs in, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zone: Option<String>,
    /// Its place among the pods of its shard.
    pub ordinal: u32,
}

/// Bytes that are no registration.
#[derive(Debug, thiserror::Error)]
#[error(
    "it is not a registration as nodes write it; remove it, and the node's restart writes it anew"
)]
pub struct BadRegistration(#[source] serde_json::Error);

impl Registration {
    /// The bytes to keep.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        // Text, an optional text and a number: there is nothing that JSON lacks.
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// The registration that was kept.
    ///
    /// # Errors
    /// The bytes are none.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, BadRegistration> {
        serde_json::from_slice(bytes).map_err(BadRegistration)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_registration_is_read_as_it_was_written() {
        for zone in [None, Some("eu-1a".to_owned())] {
            let registration = Registration {
                address: "docs-0-2.docs-0:7000".to_owned(),
                zone,
                ordinal: 2,
            };
            let read = Registration::from_bytes(&registration.to_bytes()).unwrap();
            assert_eq!(read, registration);
        }
    }

    #[test]
    fn what_is_no_registration_is_said_with_the_remedy() {
        for bytes in [&b""[..], b"{}", b"{\"address\": 7, \"ordinal\": 0}"] {
            let error = Registration::from_bytes(bytes).unwrap_err();
            assert!(error.to_string().contains("remove it"), "{error}");
        }
    }
}
