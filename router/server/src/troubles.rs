//! What of its cluster a router does not see or cannot take up. What it saw before stays in use meanwhile,
//! so each trouble is told when it comes and when it goes, and to who asks for
//! readiness, and is no failure.

use parking_lot::Mutex;
use std::collections::BTreeMap;

/// The present troubles, by what they are with.
#[derive(Default)]
pub struct Troubles(Mutex<BTreeMap<&'static str, String>>);

impl Troubles {
    /// What is wrong with something now; nothing, if it is well.
    pub fn note(&self, with: &'static str, trouble: Option<String>) {
        let mut present = self.0.lock();
        let before = match &trouble {
            Some(text) => present.insert(with, text.clone()),
            None => present.remove(with),
        };
        // Once for each, and not with each look.
        match trouble {
            Some(error) if before.as_ref() != Some(&error) => tracing::error!(
                with,
                error,
                "the cluster is not seen as it is: what was served before still is"
            ),
            None if before.is_some() => {
                tracing::info!(with, "it is seen again");
            }
            Some(_) | None => {}
        }
    }

    /// All of them, if there are any; each text once.
    pub fn text(&self) -> Option<String> {
        let present = self.0.lock();
        let mut texts: Vec<&str> = present.values().map(String::as_str).collect();
        texts.sort_unstable();
        texts.dedup();
        (!texts.is_empty()).then(|| texts.join("; "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn troubles_are_told_as_long_as_they_last_and_the_same_one_once() {
        let troubles = Troubles::default();
        assert_eq!(troubles.text(), None);
        for with in ["ring", "wish"] {
            troubles.note(with, Some("etcd is away".to_owned()));
        }
        assert_eq!(troubles.text().unwrap(), "etcd is away");
        troubles.note("ring", Some("it is garbage".to_owned()));
        assert_eq!(troubles.text().unwrap(), "etcd is away; it is garbage");
        for with in ["ring", "wish"] {
            troubles.note(with, None);
        }
        assert_eq!(troubles.text(), None);
    }
}
