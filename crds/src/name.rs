//! The names of collections: which are possible at all, and which of them
//! Kubernetes takes.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The name of a collection: 1 to 255 of `A-Z a-z 0-9 _ - .`, not starting
/// with `.`, so that it is always good as the name of a folder and as a part of
/// a URL.
///
/// Names that come from YAML follow a narrower rule besides:
/// [`check_kubernetes`](Self::check_kubernetes).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct CollectionName(String);

/// A name that no collection can have, or none on Kubernetes.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the name {}: {}", self.problem(), self.remedy())]
pub enum BadName {
    /// The name is empty.
    Empty,
    /// The name is too long.
    TooLong {
        /// Its length in characters.
        length: usize,
        /// The greatest length.
        max: usize,
    },
    /// The name has a character that is not allowed, or not in that place.
    Character {
        /// The name.
        name: String,
        /// The character.
        character: char,
        /// Its place, counted from 1.
        position: usize,
        /// What is allowed.
        rule: &'static str,
    },
}

impl BadName {
    /// What is the matter, to go on from "the name".
    #[must_use]
    pub fn problem(&self) -> String {
        match self {
            Self::Empty => "is empty".to_owned(),
            Self::TooLong { length, .. } => format!("has {length} characters"),
            Self::Character {
                name,
                character,
                position,
                ..
            } => format!("is {name:?}, with {character:?} at position {position}"),
        }
    }

    /// What to do.
    #[must_use]
    pub fn remedy(&self) -> String {
        match self {
            Self::Empty => "give the collection a name, such as docs".to_owned(),
            Self::TooLong { max, .. } => format!("shorten it to {max} or fewer"),
            Self::Character { rule, .. } => (*rule).to_owned(),
        }
    }
}

const WIDE: &str = "use letters, digits, '_', '-' and '.', and none of '.' at the start";
const NARROW: &str = "use lowercase letters, digits and '-', starting with a letter and ending with a letter or digit";

impl CollectionName {
    /// The greatest length of a name.
    pub const MAX: usize = 255;

    /// The greatest length of a name on Kubernetes.
    ///
    /// The label that Kubernetes puts on the pods of a `StatefulSet` holds at
    /// most 63 characters: the name, `-shard-1023` and a hash of 11.
    pub const MAX_KUBERNETES: usize = 40;

    /// Takes a name that keeps the rule of the type.
    ///
    /// # Errors
    /// Says what is wrong with a name that does not.
    pub fn new(name: impl Into<String>) -> Result<Self, BadName> {
        let name = name.into();
        let allowed = |index: usize, c: char| {
            c.is_ascii_alphanumeric() || matches!(c, '_' | '-') || (c == '.' && index > 0)
        };
        check(&name, Self::MAX, allowed, WIDE)?;
        Ok(Self(name))
    }

    /// Whether Kubernetes takes this name for a `VectorCollection`: 1 to 40
    /// lowercase letters, digits and `-`, starting with a letter and ending
    /// with a letter or digit.
    ///
    /// Services are named after collections, and a Service's name starts with a
    /// letter.
    ///
    /// # Errors
    /// Says what is wrong with a name that it does not take.
    pub fn check_kubernetes(&self) -> Result<(), BadName> {
        let last = self.0.chars().count() - 1;
        let allowed = |index: usize, c: char| {
            c.is_ascii_lowercase()
                || (c.is_ascii_digit() && index > 0)
                || (c == '-' && index > 0 && index < last)
        };
        check(&self.0, Self::MAX_KUBERNETES, allowed, NARROW)
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn check(
    name: &str,
    max: usize,
    allowed: impl Fn(usize, char) -> bool,
    rule: &'static str,
) -> Result<(), BadName> {
    let length = name.chars().count();
    if length == 0 {
        return Err(BadName::Empty);
    }
    if length > max {
        return Err(BadName::TooLong { length, max });
    }
    for (index, character) in name.chars().enumerate() {
        if !allowed(index, character) {
            return Err(BadName::Character {
                name: name.to_owned(),
                character,
                position: index + 1,
                rule,
            });
        }
    }
    Ok(())
}

impl fmt::Display for CollectionName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl AsRef<str> for CollectionName {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl FromStr for CollectionName {
    type Err = BadName;

    fn from_str(name: &str) -> Result<Self, BadName> {
        Self::new(name)
    }
}

impl TryFrom<String> for CollectionName {
    type Error = BadName;

    fn try_from(name: String) -> Result<Self, BadName> {
        Self::new(name)
    }
}

impl From<CollectionName> for String {
    fn from(name: CollectionName) -> Self {
        name.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_rest_clients_use_are_taken_and_paths_are_not() {
        let longest = "x".repeat(255);
        for good in ["docs", "my_collection", "A.b-C_9", "-x", "7", &longest] {
            assert_eq!(CollectionName::new(good).unwrap().as_str(), good);
        }
        let too_long = "x".repeat(256);
        for bad in [
            "", ".", "..", ".x", "a/b", "a b", "é", "a\0", "a\n", &too_long,
        ] {
            assert!(CollectionName::new(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn kubernetes_takes_only_names_that_its_services_can_have() {
        let kubernetes = |name: &str| CollectionName::new(name).unwrap().check_kubernetes();
        let longest = "x".repeat(40);
        for good in ["docs", "a", "a-1", &longest] {
            assert_eq!(kubernetes(good), Ok(()), "{good}");
        }
        let too_long = "x".repeat(41);
        for bad in ["Docs", "my_docs", "a.b", "-a", "a-", "1a", &too_long] {
            assert!(kubernetes(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_refusal_names_the_character_its_place_and_what_is_allowed() {
        assert_eq!(
            CollectionName::new("my docs").unwrap_err().to_string(),
            "the name is \"my docs\", with ' ' at position 3: use letters, digits, '_', '-' and '.', \
             and none of '.' at the start"
        );
        assert_eq!(
            CollectionName::new("x".repeat(300))
                .unwrap_err()
                .to_string(),
            "the name has 300 characters: shorten it to 255 or fewer"
        );
    }

    #[test]
    fn a_name_read_from_json_keeps_the_rule() {
        assert!(serde_json::from_str::<CollectionName>("\"docs\"").is_ok());
        assert!(serde_json::from_str::<CollectionName>("\"../docs\"").is_err());
    }
}
