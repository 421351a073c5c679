//! Compiles the `.proto` files without a `protoc` on the machine.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo:rerun-if-changed=quoit");
    let files = protox::compile(["quoit/v1/shard.proto", "quoit/v1/log.proto"], ["."])?;
    tonic_prost_build::configure()
        .bytes(".quoit.v1.Upsert.payload")
        .bytes(".quoit.v1.Point.payload")
        .compile_fds(files)?;
    Ok(())
}
