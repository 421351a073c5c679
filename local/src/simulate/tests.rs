//! The command as a person or a script types it.

use clap::Parser;

use super::*;

#[derive(Debug, Parser)]
struct Command {
    #[command(flatten)]
    args: SimulateArgs,
}

fn parse(line: &str) -> Result<SimulateArgs, clap::Error> {
    let words = std::iter::once("simulate").chain(line.split_whitespace());
    Command::try_parse_from(words).map(|command| command.args)
}

/// What the command prints: the result and the notes.
fn printed(line: &str) -> Result<(String, String), Error> {
    let (mut out, mut notes) = (Vec::new(), Vec::new());
    run(&parse(line).unwrap(), &mut out, &mut notes)?;
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Ok((text(out), text(notes)))
}

#[test]
fn the_table_shows_each_member_the_distribution_and_what_moved() {
    let (out, notes) = printed("--members 4 --join 1 --compare classic").unwrap();
    let lines: Vec<Vec<&str>> = out
        .lines()
        .map(|line| line.split_whitespace().collect())
        .collect();
    assert!(out.starts_with(
        "4 members, 1 joining; 4096 vnodes, 6000 keys; classic ring with 80 points a member\n\n"
    ));
    assert_eq!(lines[2], ["QUOIT", "CLASSIC"]);
    assert_eq!(lines[3], ["member", "vnodes", "keys", "points", "keys"]);
    assert_eq!(lines[4][..2], ["node-0", "820"]);
    assert_eq!(lines[4][3..], ["80", "1065"]);
    assert_eq!(lines[8][3..], ["80", "1398"]);
    assert_eq!(lines[10][0], "min");
    assert_eq!(lines[11][..2], ["mean", "819.20"]);
    assert_eq!(lines[11][3..], ["80.00", "1200.00"]);
    assert_eq!(lines[13][..2], ["max/mean", "1.0010"]);
    assert_eq!(lines[14], ["moved", "20.00%", "23.30%"]);
    assert_eq!(lines[15], ["least", "20.00%", "20.00%"]);
    assert_eq!(lines.len(), 16);
    assert_eq!(notes, "");
}

#[test]
fn the_columns_of_the_table_are_aligned_to_the_right() {
    let (out, _) = printed("--members 11 --keys 100000 --compare classic").unwrap();
    let rows: Vec<&str> = out.lines().filter(|line| line.contains("node-")).collect();
    assert_eq!(rows.len(), 11);
    assert!(rows.iter().all(|row| row.len() == rows[0].len()), "{out}");
    assert!(out.lines().all(|line| line == line.trim_end()));
}

#[test]
fn without_compare_there_is_no_classic_ring() {
    let (out, _) = printed("--members 2 --vnodes 8 --keys 10").unwrap();
    assert!(out.starts_with("2 members; 8 vnodes, 10 keys\n"), "{out}");
    assert!(!out.contains("CLASSIC"), "{out}");
}

#[test]
fn the_json_is_the_report_and_nothing_else() {
    let line = "--members 3 --leave node-1,node-9 --compare classic --points 20 -o json";
    let (out, notes) = printed(line).unwrap();
    let json: serde_json::Value = serde_json::from_str(&out).unwrap();
    let keys = |value: &serde_json::Value| -> Vec<String> {
        value.as_object().unwrap().keys().cloned().collect()
    };
    assert_eq!(keys(&json), ["classic", "quoit"]);
    for ring in ["quoit", "classic"] {
        let side = &json[ring];
        let fields = [
            "keys_max_over_mean",
            "least",
            "members",
            "moved",
            "vnodes_max_over_mean",
        ];
        assert_eq!(keys(side), fields);
        assert_eq!(side["members"][1]["id"], "node-2");
        assert_eq!(keys(&side["members"][0]), ["id", "keys", "vnodes"]);
    }
    assert_eq!(json["classic"]["members"][0]["vnodes"], 20);
    assert!(notes.contains("--leave node-9 changes nothing"), "{notes}");
}

#[test]
fn leavers_can_be_given_with_spaces_commas_or_one_by_one() {
    for leave in [
        "--leave node-1 node-2",
        "--leave node-1,node-2",
        "--leave node-1 --leave node-2 --leave node-1",
    ] {
        let (out, notes) = printed(&format!("--members 4 {leave}")).unwrap();
        assert!(out.starts_with("4 members, 2 leaving;"), "{leave}: {out}");
        assert!(out.contains("node-3") && !out.contains("node-2"));
        assert_eq!(notes, "");
    }
}

#[test]
fn a_leaver_that_is_not_there_is_harmless_and_named() {
    let (out, notes) = printed("--members 3 --leave node-7").unwrap();
    assert_eq!(
        notes,
        "note: --leave node-7 changes nothing: no member has that id; they are node-0 to node-2\n"
    );
    assert!(out.starts_with("3 members, 0 leaving;"), "{out}");
    assert!(out.contains("moved       0.00%"), "{out}");
}

#[test]
fn a_bad_argument_is_answered_with_its_flag_and_the_remedy() {
    let cases = [
        (
            "--members 0",
            "--members is 0, and a ring needs at least one member: give 1 or more",
        ),
        (
            "--members 9999 --join 2",
            "--members and --join make 10001 members, and at most 10000 are simulated: give fewer",
        ),
        (
            "--members 4294967295 --join 4294967295",
            "--members and --join make 8589934590 members, and at most 10000 are simulated: give fewer",
        ),
        (
            "--members 2 --vnodes 1000",
            "--vnodes 1000 is not a power of two from 1 to 65536: the nearest are 512 and 1024",
        ),
        (
            "--members 2 --vnodes 3",
            "--vnodes 3 is not a power of two from 1 to 65536: the nearest are 2 and 4",
        ),
        (
            "--members 2 --vnodes 0",
            "--vnodes 0 is not a power of two from 1 to 65536: give 1 or more; 4096 is usual",
        ),
        (
            "--members 2 --vnodes 131072",
            "--vnodes 131072 is not a power of two from 1 to 65536: the largest is 65536",
        ),
        ("--members 2 --keys 0", "--keys is 0: give 1 to 10000000"),
        (
            "--members 2 --keys 10000001",
            "--keys is 10000001: give 1 to 10000000",
        ),
        (
            "--members 2 --compare classic --points 0",
            "--points is 0, and a member without points owns nothing: give 1 or more",
        ),
        (
            "--members 2 --compare classic --points 4294967295",
            "--points and the members make 8589934590 points, and at most 10000000 are simulated: \
             give fewer",
        ),
        (
            "--members 2 --points 20",
            "--points says nothing about Quoit's ring: add --compare classic, or leave it out",
        ),
        (
            "--members 2 --leave node-0 node-1",
            "--leave names every member, and one at least must stay: name fewer",
        ),
    ];
    for (line, error) in cases {
        assert_eq!(printed(line).unwrap_err().to_string(), error, "{line}");
    }
}

#[test]
fn arguments_that_contradict_each_other_or_say_nothing_are_refused() {
    for (line, names) in [
        ("--members 3 --join 1 --leave node-0", "--join"),
        ("", "--members"),
        ("--members 3 --leave", "--leave"),
        ("--members -1", "-1"),
        ("--members 3 --join x", "--join"),
        ("--members 3 --compare rendezvous", "--compare"),
        ("--members 3 -o yaml", "--output"),
    ] {
        let text = parse(line).unwrap_err().to_string();
        assert!(text.contains(names), "{line}: {text}");
    }
}

#[test]
fn the_help_says_what_the_numbers_mean() {
    let help = parse("--help").unwrap_err().to_string();
    for word in [
        "max/mean",
        "moved",
        "least",
        "node-0",
        "Examples:",
        "default: 4096",
    ] {
        assert!(help.contains(word), "{word}: {help}");
    }
}

#[test]
fn a_closed_output_is_told_from_a_fault_of_the_result() {
    struct Closed;
    impl Write for Closed {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::BrokenPipe.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    for output in ["table", "json"] {
        let args = parse(&format!("--members 2 -o {output}")).unwrap();
        let error = run(&args, &mut Closed, &mut io::sink()).unwrap_err();
        let closed = matches!(&error, Error::Print(e) if e.kind() == io::ErrorKind::BrokenPipe);
        assert!(closed, "{error:?}");
    }
}
