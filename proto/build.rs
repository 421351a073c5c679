//! Compiles the `.proto` files without a `protoc` on the machine. What clients
//! are told by reflection is described apart: they see no shards.

use prost::Message;
use std::path::PathBuf;

/// The services for clients, with all that they import.
const FOR_CLIENTS: [&str; 2] = ["quoit/v1/points.proto", "quoit/v1/collections.proto"];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo:rerun-if-changed=quoit");
    let inside = [
        "quoit/v1/shard.proto",
        "quoit/v1/cluster.proto",
        "quoit/v1/log.proto",
        "quoit/v1/raft.proto",
    ];
    let files = protox::compile(inside.iter().chain(&FOR_CLIENTS), ["."])?;
    let mut names = tonic_prost_build::Config::new();
    names.enable_type_names();
    tonic_prost_build::configure()
        .bytes(".quoit.v1.Upsert.payload")
        .bytes(".quoit.v1.Point.payload")
        .bytes(".quoit.v1.Commands.commands")
        .bytes(".quoit.v1.LogRecord.payload")
        .bytes(".quoit.v1.SnapshotOffer.manifest")
        .btree_map(".quoit.v1.PictureResponse.values")
        .codec_path("crate::BoundedCodec")
        .compile_fds_with_config(files, names)?;
    let out = std::env::var_os("OUT_DIR").ok_or("cargo names no OUT_DIR")?;
    let out = PathBuf::from(out);
    let for_clients = protox::compile(FOR_CLIENTS, ["."])?;
    std::fs::write(out.join("clients.bin"), for_clients.encode_to_vec())?;
    let for_shards = protox::compile(inside, ["."])?;
    std::fs::write(out.join("shards.bin"), for_shards.encode_to_vec())?;
    Ok(())
}
