//! Prints the description of the REST API, for `docs/openapi.json`.

use std::io::{self, Write};

fn main() -> io::Result<()> {
    let document = quoit_router::openapi();
    let document = document.ok_or_else(|| io::Error::other("it cannot be written as JSON"))?;
    io::stdout().write_all(document.as_bytes())
}
