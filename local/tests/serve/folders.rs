//! Folders that are not what they should be: what is lost or another's is
//! never served as empty, what is whole beside it is served, and what was only
//! begun does no harm.

use crate::support::{Server, collection_dir, copy_dir, data_dir, edit_record, refuses, wait_for};
use crate::{count, create, everything, names, put};
use std::fs;
use std::path::{Path, PathBuf};

/// A data directory with two collections of two shards, at rest.
fn two_collections() -> tempfile::TempDir {
    let data = data_dir();
    let server = Server::start(data.path(), &[]);
    let mut client = server.client();
    for name in ["left", "right"] {
        create(&mut client, name, 2);
        put(&mut client, name, 0, 120, "overwritten");
        put(&mut client, name, 0, 100, name);
        let gone = serde_json::json!({"points": (100..120).collect::<Vec<u64>>()});
        client.ok(
            "POST",
            &format!("/collections/{name}/points/delete?wait=true"),
            Some(&gone),
        );
    }
    server.stop();
    data
}

fn left(data: &Path) -> PathBuf {
    collection_dir(data, "left")
}

fn right(data: &Path) -> PathBuf {
    collection_dir(data, "right")
}

fn swap(a: &Path, b: &Path) {
    let aside = a.with_extension("aside");
    fs::rename(a, &aside).unwrap();
    fs::rename(b, a).unwrap();
    fs::rename(aside, b).unwrap();
}

/// A server that cannot open these of the two collections: it says so, refuses
/// their requests, and serves the other.
fn is_unopened(data: &Path, names: &[&str], parts: &[&str]) {
    let server = Server::start_unready(data, &[]);
    let mut client = server.client();
    assert_eq!(client.call("GET", "/readyz", None).unwrap().status, 503);
    assert_eq!(self::names(&mut client), ["left", "right"]);
    for name in ["left", "right"] {
        if !names.contains(&name) {
            assert_eq!(count(&mut client, name), 100);
            continue;
        }
        let path = format!("/collections/{name}");
        let points = serde_json::json!({"points": [{"id": 1, "vector": [1, 2, 3, 4]}]});
        let wish = serde_json::json!({"vectors": {"size": 4, "distance": "Euclid"}});
        let put = format!("{path}/points");
        for (method, path, body, status) in [
            ("GET", &path, None, 500),
            ("PUT", &put, Some(&points), 500),
            ("PUT", &path, Some(&wish), 409),
        ] {
            let answer = client.call(method, path, body).unwrap();
            assert_eq!(answer.status, status, "{method} {path}: {}", answer.error());
            for part in parts {
                assert!(
                    answer.error().contains(part),
                    "{part:?}: {}",
                    answer.error()
                );
            }
        }
    }
    let log = server.stop_with_errors();
    assert!(log.contains("cannot be opened"), "{log}");
}

fn still_whole(data: &Path) {
    let server = Server::start(data, &[]);
    let mut client = server.client();
    assert_eq!(names(&mut client), ["left", "right"]);
    for name in ["left", "right"] {
        assert_eq!(count(&mut client, name), 100);
        let marks = everything(&mut client, name);
        assert!(marks.iter().all(|p| p["payload"]["mark"] == name), "{name}");
    }
    server.stop();
}

#[test]
fn shards_of_another_collection_are_refused() {
    let data = two_collections();
    let (a, b) = (
        left(data.path()).join("shards"),
        right(data.path()).join("shards"),
    );
    swap(&a, &b);
    is_unopened(
        data.path(),
        &["left", "right"],
        &[
            "shard 0",
            "belongs to shard 0, member 1 of group 0 of collection",
            "check the data directory",
        ],
    );
    swap(&a, &b);
    still_whole(data.path());
}

#[test]
fn shards_of_the_same_collection_in_each_others_place_are_refused() {
    let data = two_collections();
    let shards = left(data.path()).join("shards");
    swap(&shards.join("0"), &shards.join("1"));
    is_unopened(
        data.path(),
        &["left"],
        &[
            "belongs to shard 1, member 1 of group 1 of collection",
            "not to shard 0",
        ],
    );
    swap(&shards.join("0"), &shards.join("1"));
    still_whole(data.path());
}

#[test]
fn a_ring_of_another_collection_is_refused() {
    let data = two_collections();
    let (a, b) = (
        left(data.path()).join("ring"),
        right(data.path()).join("ring"),
    );
    swap(&a, &b);
    is_unopened(
        data.path(),
        &["left", "right"],
        &[
            "ring",
            "another collection's",
            "restore the folder from a copy",
        ],
    );
    swap(&a, &b);
    still_whole(data.path());
}

#[test]
fn a_part_that_is_lost_is_refused_and_not_served_as_empty() {
    let data = two_collections();
    let lost = data.path().join("lost");
    for (part, says) in [
        ("ring", "its ring is not there"),
        ("shards", "this shard had data"),
        ("shards/1", "this shard had data"),
        ("shards/0/stamp.json", "this shard had data"),
        ("shards/0/log", "this shard had data"),
        ("shards/1/data/rows", "damaged"),
        ("shards/1/data/vectors", "damaged"),
    ] {
        println!("without {part}");
        let path = left(data.path()).join(part);
        fs::rename(&path, &lost).unwrap();
        is_unopened(data.path(), &["left"], &[says]);
        // What a start that failed has made in its place is not it.
        if path.is_dir() {
            fs::remove_dir_all(&path).unwrap();
        }
        fs::rename(&lost, &path).unwrap();
        still_whole(data.path());
    }
}

#[test]
fn a_shard_without_both_log_and_data_is_lost_and_not_new() {
    let data = two_collections();
    let shard = left(data.path()).join("shards/1");
    for part in ["log", "data"] {
        fs::remove_dir_all(shard.join(part)).unwrap();
    }
    is_unopened(data.path(), &["left"], &["shard 1", "this shard had data"]);
}

#[test]
fn a_folder_without_its_record_keeps_the_server_from_starting() {
    let data = two_collections();
    let folder = left(data.path());
    let uid = folder.file_name().unwrap().to_str().unwrap();
    let aside = data.path().join("aside");
    fs::rename(folder.join("record"), &aside).unwrap();
    refuses(data.path(), &[], &[uid, "its record is missing", "restore"]);
    fs::rename(&aside, folder.join("record")).unwrap();
    still_whole(data.path());
    // Emptied, or a disk that is not mounted: not taken for one that never was.
    fs::rename(&folder, &aside).unwrap();
    fs::create_dir(&folder).unwrap();
    refuses(data.path(), &[], &[uid, "its record is missing", "restore"]);
    fs::remove_dir(&folder).unwrap();
    fs::rename(&aside, &folder).unwrap();
    still_whole(data.path());
}

#[test]
fn parts_of_two_shards_in_each_others_place_are_refused() {
    let data = two_collections();
    let shards = left(data.path()).join("shards");
    let others = right(data.path()).join("shards");
    for part in ["log", "data", "data/rows", "data/vectors", "data/manifest"] {
        for (other, broken) in [
            (shards.join("1"), &["left"][..]),
            (others.join("0"), &["left", "right"]),
        ] {
            println!("{part} of shard 0 and of {}", other.display());
            let (a, b) = (shards.join("0").join(part), other.join(part));
            swap(&a, &b);
            is_unopened(data.path(), broken, &["another"]);
            swap(&a, &b);
            still_whole(data.path());
        }
    }
}

#[test]
fn rows_and_vectors_that_are_lost_come_back_from_a_whole_log_and_not_from_a_cut_one() {
    let data = two_collections();
    for part in ["shards/1/data", "shards/1/data/manifest"] {
        println!("without {part}");
        let path = left(data.path()).join(part);
        if path.is_dir() {
            fs::remove_dir_all(path).unwrap();
        } else {
            fs::remove_file(path).unwrap();
        }
        still_whole(data.path());
    }
    let often = ["--checkpoint-bytes", "1000", "--log-segment-bytes", "2000"];
    let server = Server::start(data.path(), &often);
    let mut client = server.client();
    let first = left(data.path()).join("shards/1/log/0000000001.log");
    assert!(first.exists());
    wait_for("the log to be cut", || {
        put(&mut client, "left", 0, 100, "again");
        (!first.exists()).then_some(())
    });
    server.stop();
    fs::remove_dir_all(left(data.path()).join("shards/1/data")).unwrap();
    is_unopened(
        data.path(),
        &["left"],
        &[
            "shard 1",
            "the data needs the log from entry 1 on",
            "restore both from one copy",
        ],
    );
}

#[test]
fn collections_in_each_others_folders_are_refused() {
    let data = two_collections();
    let (a, b) = (left(data.path()), right(data.path()));
    swap(&a, &b);
    refuses(
        data.path(),
        &[],
        &["has the record of collection", "give it back its name"],
    );
    swap(&a, &b);
    still_whole(data.path());
}

#[test]
fn a_record_that_says_another_shape_than_the_data_has_is_refused_and_harms_nothing() {
    let data = two_collections();
    let record = left(data.path()).join("record");
    let whole = fs::read_to_string(&record).unwrap();
    for (is, would_be) in [
        ("\"dimension\": 4", "\"dimension\": 8"),
        ("\"metric\": \"Euclid\"", "\"metric\": \"Cosine\""),
        ("\"vnodes\": 4096", "\"vnodes\": 1024"),
    ] {
        edit_record(&left(data.path()), is, would_be);
        is_unopened(
            data.path(),
            &["left"],
            &["was made for dimension 4", "restore the record"],
        );
        fs::write(&record, &whole).unwrap();
        still_whole(data.path());
    }
}

#[test]
fn two_collections_of_one_name_are_refused() {
    let data = two_collections();
    let folder = right(data.path());
    edit_record(&folder, "\"right\"", "\"left\"");
    refuses(
        data.path(),
        &[],
        &["both have a collection left", "move one of them away"],
    );
    edit_record(&folder, "\"left\"", "\"right\"");
    still_whole(data.path());
}

#[test]
fn a_damaged_file_is_refused() {
    let data = two_collections();
    for part in ["ring", "shards/0/stamp.json", "shards/1/data/manifest"] {
        println!("with damage in {part}");
        let folder = left(data.path());
        let path = find(&folder.join(part));
        let whole = fs::read(&path).unwrap();
        let mut damaged = whole.clone();
        damaged.truncate(whole.len() / 2);
        fs::write(&path, damaged).unwrap();
        is_unopened(data.path(), &["left"], &["restore"]);
        fs::write(&path, whole).unwrap();
        still_whole(data.path());
    }
}

#[test]
fn a_damaged_record_keeps_the_server_from_starting() {
    let data = two_collections();
    let folder = left(data.path());
    let uid = folder.file_name().unwrap().to_str().unwrap();
    let record = folder.join("record");
    let whole = fs::read_to_string(&record).unwrap();
    for damaged in [
        whole.replace("\"left\"", "\"lift\""),
        whole[..whole.len() / 2].to_owned(),
        String::new(),
    ] {
        fs::write(&record, damaged).unwrap();
        refuses(data.path(), &[], &[uid, "is damaged", "restore"]);
        fs::write(&record, &whole).unwrap();
    }
    still_whole(data.path());
}

/// A file, or the one file of a folder.
fn find(path: &Path) -> PathBuf {
    if path.is_file() {
        return path.to_owned();
    }
    let mut files: Vec<_> = fs::read_dir(path)
        .unwrap()
        .map(|f| f.unwrap().path())
        .collect();
    assert_eq!(files.len(), 1, "{files:?}");
    files.remove(0)
}

#[test]
fn an_older_copy_of_one_part_is_refused() {
    let data = two_collections();
    let shard = left(data.path()).join("shards/0");
    let old = data_dir();
    copy_dir(&shard, old.path()).unwrap();
    let server = Server::start(data.path(), &[]);
    put(&mut server.client(), "left", 1000, 200, "later");
    server.stop();
    // Rows and vectors from after the end of the log.
    fs::remove_dir_all(shard.join("log")).unwrap();
    copy_dir(&old.path().join("log"), &shard.join("log")).unwrap();
    is_unopened(
        data.path(),
        &["left"],
        &["the log ends at", "restore both from one copy"],
    );
}

#[test]
fn a_copy_of_the_whole_directory_serves_the_same() {
    let data = two_collections();
    let copy = data_dir();
    copy_dir(data.path(), copy.path()).unwrap();
    still_whole(copy.path());
}

#[test]
fn what_was_only_begun_or_already_deleted_does_no_harm() {
    let data = two_collections();
    let collections = data.path().join("collections");
    fs::create_dir(collections.join(".new-01")).unwrap();
    fs::create_dir(collections.join(".new-02")).unwrap();
    fs::write(collections.join(".new-02/record.new"), "{").unwrap();
    copy_dir(&left(data.path()), &collections.join(".new-03")).unwrap();
    copy_dir(&left(data.path()), &collections.join(".deleted-0123")).unwrap();
    still_whole(data.path());
    for gone in [".new-01", ".new-02", ".new-03", ".deleted-0123"] {
        assert!(!collections.join(gone).exists(), "{gone} is still there");
    }
}

#[test]
fn a_collection_whose_making_was_cut_short_is_made_to_the_end() {
    let data = two_collections();
    let (founded, unfounded) = ("\"founded\": true", "\"founded\": false");
    let record = left(data.path()).join("record");
    // Killed after the record, after the ring, after the first shard.
    for gone in [&["ring", "shards"][..], &["shards"], &["shards/1"]] {
        edit_record(&left(data.path()), founded, unfounded);
        for part in gone {
            let path = left(data.path()).join(part);
            if path.is_dir() {
                fs::remove_dir_all(path).unwrap();
            } else {
                fs::remove_file(path).unwrap();
            }
        }
        let server = Server::start(data.path(), &[]);
        let mut client = server.client();
        put(&mut client, "left", 0, 200, "x");
        assert_eq!(count(&mut client, "left"), 200);
        server.stop();
        assert!(fs::read_to_string(&record).unwrap().contains(founded));
        let server = Server::start(data.path(), &[]);
        assert_eq!(count(&mut server.client(), "left"), 200);
        server.stop();
    }
}

#[test]
fn a_folder_that_is_no_collection_is_named() {
    let data = two_collections();
    let stray = data.path().join("collections/stray");
    fs::create_dir(&stray).unwrap();
    fs::write(stray.join("notes.txt"), "mine").unwrap();
    refuses(
        data.path(),
        &[],
        &["stray", "not a collection's folder", "move it away"],
    );
    assert_eq!(fs::read_to_string(stray.join("notes.txt")).unwrap(), "mine");
}

#[test]
fn a_directory_that_cannot_be_written_is_refused() {
    let folder = data_dir();
    let file = folder.path().join("file");
    fs::write(&file, "").unwrap();
    refuses(&file, &[], &["--data-dir", "cannot create"]);

    let read_only = folder.path().join("read-only");
    fs::create_dir(&read_only).unwrap();
    let mut rights = fs::metadata(&read_only).unwrap().permissions();
    rights.set_readonly(true);
    fs::set_permissions(&read_only, rights).unwrap();
    if fs::write(read_only.join("probe"), "").is_ok() {
        println!("skipped in part: this user may write where nobody may");
        return;
    }
    refuses(&read_only, &[], &["--data-dir", "Permission denied"]);
}
