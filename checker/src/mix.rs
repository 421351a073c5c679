//! How often clients make calls of each kind.

use rand::Rng;
use std::collections::BTreeMap;
use std::str::FromStr;

use crate::record::Kind;

/// Weights of the kinds of calls; at least one is above zero.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mix(BTreeMap<Kind, u32>);

/// A text that is no mix.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadMix {
    /// A part without a number.
    #[error("{0:?} is no weight: write KIND=NUMBER, such as put=20")]
    Weight(String),
    /// A kind that there is not.
    #[error("there is no kind {0:?}: there are {list}", list = Kind::WORK.map(Kind::name).join(", "))]
    Kind(String),
    /// Nothing is left.
    #[error("every weight is 0: there would be nothing to do")]
    Nothing,
}

impl Default for Mix {
    fn default() -> Self {
        let weight = |kind: &Kind| match kind {
            Kind::Put | Kind::Get => 20,
            Kind::Search => 14,
            Kind::PutIf | Kind::Edit => 10,
            Kind::Delete => 8,
            Kind::Scan => 2,
            _ => 6,
        };
        Self(
            Kind::WORK
                .iter()
                .map(|kind| (*kind, weight(kind)))
                .collect(),
        )
    }
}

impl FromStr for Mix {
    type Err = BadMix;

    /// `put=40,scan=0`: what is not named keeps its weight.
    fn from_str(text: &str) -> Result<Self, BadMix> {
        let mut mix = Self::default();
        for part in text.split(',').filter(|part| !part.is_empty()) {
            let bad = || BadMix::Weight(part.to_owned());
            let (name, weight) = part.split_once('=').ok_or_else(bad)?;
            let weight = weight.trim().parse().map_err(|_| bad())?;
            let kind = Kind::WORK.iter().find(|kind| kind.name() == name.trim());
            let kind = kind.ok_or_else(|| BadMix::Kind(name.to_owned()))?;
            mix.0.insert(*kind, weight);
        }
        if mix.0.values().all(|weight| *weight == 0) {
            return Err(BadMix::Nothing);
        }
        Ok(mix)
    }
}

impl Mix {
    /// The kind of the next call.
    pub fn choose(&self, random: &mut impl Rng) -> Kind {
        let sum: u32 = self.0.values().sum();
        let mut left = random.random_range(0..sum.max(1));
        for (kind, weight) in &self.0 {
            match left.checked_sub(*weight) {
                Some(less) => left = less,
                None => return *kind,
            }
        }
        Kind::Get
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    #[test]
    fn what_is_named_has_its_weight_and_the_rest_keep_theirs() {
        let mix: Mix = "put=0, get=1000000".parse().unwrap();
        let mut random = StdRng::seed_from_u64(1);
        let chosen: Vec<Kind> = (0..1000).map(|_| mix.choose(&mut random)).collect();
        assert!(!chosen.contains(&Kind::Put));
        assert!(chosen.iter().filter(|k| **k == Kind::Get).count() > 990);
        assert_eq!("".parse(), Ok(Mix::default()));
    }

    #[test]
    fn a_bad_mix_is_refused_with_the_remedy() {
        let refused = |text: &str| Mix::from_str(text).unwrap_err().to_string();
        assert!(refused("put").contains("put=20"));
        assert!(refused("put=many").contains("put=many"));
        assert!(refused("pot=1").contains("put-if"));
        let none = Kind::WORK
            .map(|kind| format!("{}=0", kind.name()))
            .join(",");
        assert!(refused(&none).contains("nothing to do"));
    }
}
