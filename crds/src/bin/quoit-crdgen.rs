//! Prints the CRD of `VectorCollection` as YAML, for
//! `crds/quoit.dev_vectorcollections.yaml`.

use std::io::{self, Write};

fn main() -> io::Result<()> {
    io::stdout().write_all(quoit_crds::crd_yaml().as_bytes())
}
