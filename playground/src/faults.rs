//! Which links of the network are in trouble, and how: a table that commands
//! change and the proxies look at. Pure.
//!
//! A link is a direction, from one node to another: what the one sends to the
//! other goes over it, no matter which of them has connected.

use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// A process, or the etcd that was given: its place among the plan's names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Node(pub usize);

/// How a link is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Cut {
    /// What is sent does not arrive, and nobody is told: a network that loses packets.
    Lost,
    /// Connections break and new ones are refused: a firewall that rejects.
    Reset,
}

/// The trouble of a link.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Link {
    /// Nothing comes through.
    pub cut: Option<Cut>,
    /// What is sent arrives so much later.
    pub delay: Duration,
}

/// The links in trouble; all others are well.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Faults {
    links: BTreeMap<(Node, Node), Link>,
}

impl Faults {
    /// How this link is.
    #[must_use]
    pub fn link(&self, from: Node, to: Node) -> Link {
        self.links.get(&(from, to)).copied().unwrap_or_default()
    }

    /// Whether connections between the two are to break.
    #[must_use]
    pub fn resets(&self, a: Node, b: Node) -> bool {
        [(a, b), (b, a)]
            .iter()
            .any(|(from, to)| self.link(*from, *to).cut == Some(Cut::Reset))
    }

    /// Cuts links; those that are cut already are cut in this way from now on.
    pub fn cut(&mut self, links: &BTreeSet<(Node, Node)>, cut: Cut) {
        for link in links {
            self.links.entry(*link).or_default().cut = Some(cut);
        }
    }

    /// Makes links slow, or quick again by a delay of zero.
    pub fn delay(&mut self, links: &BTreeSet<(Node, Node)>, delay: Duration) {
        for link in links {
            self.links.entry(*link).or_default().delay = delay;
        }
        self.links.retain(|_, link| *link != Link::default());
    }

    /// Makes all links of a node well, or all there are.
    pub fn heal(&mut self, node: Option<Node>) {
        match node {
            None => self.links.clear(),
            Some(node) => self
                .links
                .retain(|(from, to), _| *from != node && *to != node),
        }
    }

    /// The links in trouble.
    pub fn iter(&self) -> impl Iterator<Item = ((Node, Node), Link)> {
        self.links.iter().map(|(ends, link)| (*ends, *link))
    }
}

/// The links that a command means: those that come `from` others to this node
/// and go from it `to` others; if it names none, both with all of them.
#[must_use]
pub fn links_of(node: Node, from: &[Node], to: &[Node], nodes: usize) -> BTreeSet<(Node, Node)> {
    let all: Vec<Node> = (0..nodes)
        .map(Node)
        .filter(|other| *other != node)
        .collect();
    let (from, to) = if from.is_empty() && to.is_empty() {
        (&all[..], &all[..])
    } else {
        (from, to)
    };
    let incoming = from.iter().map(|other| (*other, node));
    let outgoing = to.iter().map(|other| (node, *other));
    incoming.chain(outgoing).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const A: Node = Node(0);
    const B: Node = Node(1);
    const C: Node = Node(2);

    #[test]
    fn a_command_that_names_no_others_means_both_ways_with_all() {
        let links = links_of(A, &[], &[], 3);
        assert_eq!(links, [(A, B), (A, C), (B, A), (C, A)].into());
    }

    #[test]
    fn a_command_that_names_others_means_only_those_ways() {
        assert_eq!(links_of(A, &[B], &[], 3), [(B, A)].into());
        assert_eq!(links_of(A, &[], &[C], 3), [(A, C)].into());
        assert_eq!(
            links_of(A, &[B], &[B, C], 3),
            [(B, A), (A, B), (A, C)].into()
        );
    }

    #[test]
    fn a_cut_link_leaves_the_way_back_alone() {
        let mut faults = Faults::default();
        faults.cut(&[(A, B)].into(), Cut::Lost);
        assert_eq!(faults.link(A, B).cut, Some(Cut::Lost));
        assert_eq!(faults.link(B, A), Link::default());
    }

    #[test]
    fn connections_break_if_either_way_is_reset() {
        let mut faults = Faults::default();
        faults.cut(&[(A, B)].into(), Cut::Reset);
        faults.cut(&[(A, C)].into(), Cut::Lost);
        assert!(faults.resets(A, B) && faults.resets(B, A));
        assert!(!faults.resets(A, C));
    }

    #[test]
    fn a_link_without_a_delay_left_is_well_unless_it_is_cut() {
        let mut faults = Faults::default();
        let both = [(A, B), (B, A)].into();
        faults.delay(&both, Duration::from_millis(5));
        faults.cut(&[(A, B)].into(), Cut::Lost);
        faults.delay(&both, Duration::ZERO);
        let left: Vec<_> = faults.iter().collect();
        let cut = Link {
            cut: Some(Cut::Lost),
            delay: Duration::ZERO,
        };
        assert_eq!(left, [((A, B), cut)]);
    }

    proptest! {
        #[test]
        fn healing_a_node_heals_all_its_links_and_no_others(
            cuts in prop::collection::btree_set((0..5_usize, 0..5_usize), 0..20),
            node in 0..5_usize,
        ) {
            let cuts = cuts.into_iter().map(|(from, to)| (Node(from), Node(to))).collect();
            let mut faults = Faults::default();
            faults.cut(&cuts, Cut::Lost);
            faults.heal(Some(Node(node)));
            for (from, to) in cuts {
                let its = from == Node(node) || to == Node(node);
                prop_assert_eq!(faults.link(from, to).cut.is_none(), its);
            }
            faults.heal(None);
            prop_assert_eq!(faults, Faults::default());
        }
    }
}
