//! The simulation against numbers known from elsewhere, and its JSON.

use proptest::prelude::*;

use super::*;

fn setting(members: u32, change: Change) -> Setting {
    Setting {
        members,
        vnodes: VnodeCount::new(4096).unwrap(),
        keys: 6000,
        classic_points: Some(80),
        change,
    }
}

fn leave<const N: usize>(ids: [&str; N]) -> Change {
    Change::Leave(ids.map(str::to_owned).into())
}

fn keys(side: &Side) -> Vec<u64> {
    side.members.iter().map(|member| member.keys).collect()
}

fn vnodes(side: &Side) -> Vec<u64> {
    side.members.iter().map(|member| member.vnodes).collect()
}

fn ids(side: &Side) -> Vec<&str> {
    side.members
        .iter()
        .map(|member| member.id.as_str())
        .collect()
}

fn close(a: f64, b: f64) -> bool {
    (a - b).abs() < 1e-12
}

#[test]
fn a_join_moves_the_newcomers_share_and_no_more() {
    let report = simulate(&setting(4, Change::Join(1))).unwrap();
    assert_eq!(
        ids(&report.quoit),
        ["node-0", "node-1", "node-2", "node-3", "node-4"]
    );
    assert_eq!(vnodes(&report.quoit), [820, 819, 819, 819, 819]);
    assert_eq!(keys(&report.quoit).iter().sum::<u64>(), 6000);
    assert!(close(report.quoit.moved, 819.0 / 4096.0));
    assert!(close(report.quoit.least, 819.0 / 4096.0));
    assert!(close(
        report.quoit.vnodes_max_over_mean,
        820.0 * 5.0 / 4096.0
    ));

    // The loads are those of the classic ring's golden test.
    let classic = report.classic.unwrap();
    assert_eq!(keys(&classic), [1065, 1148, 1157, 1232, 1398]);
    assert_eq!(vnodes(&classic), [80; 5]);
    assert!(close(classic.moved, 1398.0 / 6000.0));
    assert!(close(classic.least, 0.2));
    assert!(close(classic.vnodes_max_over_mean, 1.0));
    assert!(close(classic.keys_max_over_mean, 1398.0 / 1200.0));
}

#[test]
fn a_leave_moves_what_the_leaver_had() {
    let report = simulate(&setting(4, leave(["node-1"]))).unwrap();
    assert_eq!(ids(&report.quoit), ["node-0", "node-2", "node-3"]);
    assert!(close(report.quoit.moved, 0.25));
    assert!(close(report.quoit.least, 0.25));
    let classic = report.classic.unwrap();
    assert_eq!(keys(&classic), [1953, 1690, 2357]);
    assert!(close(classic.moved, 1451.0 / 6000.0));
    assert!(close(classic.least, 1451.0 / 6000.0));
}

#[test]
fn without_a_change_nothing_moves() {
    for change in [
        Change::Nothing,
        Change::Join(0),
        leave([]),
        leave(["node-7"]),
    ] {
        let report = simulate(&setting(4, change)).unwrap();
        assert_eq!(vnodes(&report.quoit), [1024; 4]);
        let classic = report.classic.unwrap();
        assert_eq!(keys(&classic), [1544, 1451, 1325, 1680]);
        for side in [report.quoit, classic] {
            assert!(close(side.moved, 0.0) && close(side.least, 0.0));
        }
    }
}

#[test]
fn a_leaver_that_is_not_there_is_named() {
    let setting = setting(4, leave(["node-1", "node-4", "node-01", "x"]));
    assert_eq!(setting.absent(), ["node-01", "node-4", "x"]);
    assert_eq!(simulate(&setting).unwrap().quoit.members.len(), 3);
}

#[test]
fn a_ring_without_members_is_an_error() {
    assert_eq!(
        simulate(&setting(0, Change::Nothing)),
        Err(ClaimError::NoMembers)
    );
    let everybody = leave(["node-0", "node-1"]);
    assert_eq!(simulate(&setting(2, everybody)), Err(ClaimError::NoMembers));
}

#[test]
fn without_keys_or_points_nothing_is_divided_by_zero() {
    let mut setting = setting(3, Change::Join(1));
    setting.keys = 0;
    setting.classic_points = Some(0);
    let report = simulate(&setting).unwrap();
    assert!(close(report.quoit.keys_max_over_mean, 1.0));
    let classic = report.classic.unwrap();
    assert!(close(classic.moved, 0.0) && close(classic.least, 0.0));
    assert!(close(classic.vnodes_max_over_mean, 1.0));
}

#[test]
fn two_to_a_hundred_members_differ_by_at_most_one_vnode() {
    for n in 2..=100 {
        let mut setting = setting(n, Change::Join(1));
        setting.classic_points = None;
        setting.keys = 1;
        let side = simulate(&setting).unwrap().quoit;
        let loads = vnodes(&side);
        assert!(loads.iter().max().unwrap() - loads.iter().min().unwrap() <= 1);
        let bound = 1.0 / f64::from(n + 1) + 1.0 / 4096.0;
        assert!(side.moved <= bound, "{n} members: {}", side.moved);
        assert!(close(side.moved, side.least));
    }
}

#[test]
fn the_json_has_the_shape_that_tools_read() {
    let mut setting = Setting {
        members: 1,
        vnodes: VnodeCount::new(2).unwrap(),
        keys: 4,
        classic_points: Some(1),
        change: Change::Nothing,
    };
    let side = |vnodes| {
        serde_json::json!({
            "members": [{"id": "node-0", "vnodes": vnodes, "keys": 4}],
            "vnodes_max_over_mean": 1.0,
            "keys_max_over_mean": 1.0,
            "moved": 0.0,
            "least": 0.0,
        })
    };
    let json = |setting: &Setting| serde_json::to_value(simulate(setting).unwrap()).unwrap();
    assert_eq!(
        json(&setting),
        serde_json::json!({"quoit": side(2), "classic": side(1)})
    );
    setting.classic_points = None;
    assert_eq!(json(&setting), serde_json::json!({"quoit": side(2)}));
}

#[test]
fn a_distribution_is_that_of_its_values() {
    let of = Distribution::of([3, 1, 2]);
    assert_eq!((of.min, of.max), (1, 3));
    assert!(close(of.mean, 2.0) && close(of.max_over_mean(), 1.5));
    let none = Distribution::of([]);
    assert_eq!((none.min, none.max), (0, 0));
    assert!(close(none.max_over_mean(), 1.0));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]
    #[test]
    fn every_key_and_vnode_is_counted_once(
        members in 1_u32..30,
        join in 0_u32..5,
        log2 in 0_u32..10,
        keys in 0_u32..500,
        points in 1_u32..20,
    ) {
        let setting = Setting {
            members,
            vnodes: VnodeCount::new(1 << log2).unwrap(),
            keys,
            classic_points: Some(points),
            change: Change::Join(join),
        };
        let report = simulate(&setting).unwrap();
        let classic = report.classic.unwrap();
        prop_assert_eq!(vnodes(&report.quoit).iter().sum::<u64>(), 1 << log2);
        for side in [&report.quoit, &classic] {
            prop_assert_eq!(side.members.len(), (members + join) as usize);
            prop_assert_eq!(super::tests::keys(side).iter().sum::<u64>(), u64::from(keys));
        }
        prop_assert!(close(report.quoit.moved, report.quoit.least));
    }
}
