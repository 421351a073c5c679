//! What a collection is to the programs that serve it.
//!
//! ```text
//! VectorCollection ─ spec ─▶ what engine and router take
//!        └─ declare ─▶ ring, wish, schema: values that shards and routers watch
//! ```

mod aliases;
mod bootstrap;
mod declare;
pub mod indexes;
mod schema;
pub mod spec;
mod wish;

pub use aliases::check_aliases;
pub use bootstrap::{BadBeginning, Beginning};
pub use declare::{DeclareError, declare};
pub use schema::{BadSchema, KeptSchema};
pub use wish::{BadWish, Wish};
