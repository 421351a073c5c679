use super::*;
use crate::record::{Outcome, Seen, Stamp};

fn plan() -> Plan {
    Plan {
        seed: 7,
        dimension: 8,
        rest: 25,
        groups: 4,
        keys: 4,
        clients: 1,
        limit: 5,
        page: 10,
    }
}

fn wrong(call: Call, answer: Answer) -> Option<String> {
    let plan = plan();
    let record = Record {
        client: 0,
        start: 1,
        end: 2,
        call,
        outcome: Outcome::Done(answer),
    };
    let Outcome::Done(answer) = &record.outcome else {
        return None;
    };
    AtRest::new(&plan).wrong(&record, answer)
}

#[track_caller]
fn says(part: &str, call: Call, answer: Answer) {
    let what = wrong(call, answer).unwrap();
    assert!(what.contains(part), "{what}");
}

const EXACT: Call = Call::Search {
    near: 3,
    exact: true,
};

/// The nearest to 3, best first.
fn nearest() -> Vec<u64> {
    let plan = plan();
    let target = plan.vector_at_rest(3);
    let like = |id: &u64| likeness(&plan.vector_at_rest(*id), &target);
    let mut ids: Vec<u64> = (1..=plan.rest).collect();
    ids.sort_by(|a, b| like(b).total_cmp(&like(a)));
    ids
}

#[test]
fn a_search_must_find_all_that_is_nearest_once() {
    let all = nearest();
    let right = all[..5].to_vec();
    assert_eq!(wrong(EXACT, Answer::Found(right.clone())), None);
    let with = |at: usize, id| {
        let mut ids = right.clone();
        ids[at] = id;
        Answer::Found(ids)
    };
    says(
        "4 points were found",
        EXACT,
        Answer::Found(right[..4].to_vec()),
    );
    says("came twice", EXACT, with(4, right[2]));
    says("another is nearer", EXACT, with(4, all[9]));
    says("3 itself is nearest", EXACT, with(0, all[9]));
    says("further away", EXACT, with(4, plan().id_of(1)));
    says("further away", EXACT, with(4, 0));
    // A graph is asked for less.
    let graph = Call::Search {
        near: 3,
        exact: false,
    };
    assert_eq!(wrong(graph, with(4, all[5])), None);
    says("3 itself is nearest", graph, with(0, all[9]));
}

#[test]
fn a_page_must_have_all_of_its_points_in_order() {
    let page = |from: Option<u64>, ids: Vec<u64>, next| {
        wrong(Call::Page { from }, Answer::Page { ids, next })
    };
    assert_eq!(page(None, (1..=10).collect(), Some(11)), None);
    assert_eq!(page(Some(21), (21..=25).collect(), None), None);
    let says = |what: Option<String>, part: &str| {
        let what = what.unwrap();
        assert!(what.contains(part), "{what}");
    };
    says(page(None, (1..=9).collect(), Some(11)), "10 is missing");
    says(
        page(Some(21), (21..=26).collect(), None),
        "26 does not belong",
    );
    says(
        page(Some(21), vec![21, 23, 22, 24, 25], None),
        "out of order",
    );
    says(
        page(Some(21), vec![21, 22, 22, 24, 25], None),
        "22 came twice",
    );
    says(page(None, (1..=10).collect(), None), "begins at Some(11)");
}

#[test]
fn a_count_must_be_neither_short_nor_over() {
    let count = |group, found| wrong(Call::Count { group }, Answer::Counted(found));
    assert_eq!(count(None, 25), None);
    assert_eq!(count(Some(1), 7), None);
    assert_eq!(count(Some(2), 6), None);
    for (group, found) in [(None, 24), (None, 26), (Some(1), 6)] {
        assert!(count(group, found).unwrap().contains("were counted"));
    }
}

#[test]
fn a_list_of_points_that_change_must_have_each_once() {
    let stamp = Stamp {
        client: 0,
        counter: 1,
    };
    let seen = Seen {
        put: stamp,
        change: stamp,
        whole: None,
        version: None,
    };
    let list = |keys: &[u64]| {
        let points = keys.iter().map(|key| (*key, seen)).collect();
        wrong(Call::Scan, Answer::Points(points))
    };
    assert_eq!(list(&[0, 3, 1]), None);
    assert!(list(&[0, 3, 0]).unwrap().contains("came twice"));
    assert!(list(&[0, 4]).unwrap().contains("nobody wrote"));
}
