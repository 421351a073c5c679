//! What a collection is to the programs that serve it.
//!
//! ```text
//! VectorCollection ─ spec ─▶ what engine and router take
//!        └─ declare ─▶ ring, wish, schema: values that shards and routers watch
//!              seen ─▶ what they saw last ─ picture ─▶ who cannot ask etcd
//! ```

mod aliases;
mod bootstrap;
mod declare;
pub mod indexes;
mod picture;
mod schema;
mod seen;
pub mod spec;
mod wish;

pub use aliases::check_aliases;
pub use bootstrap::{BadBeginning, Beginning};
pub use declare::{DeclareError, declare};
pub use picture::{NotAPicture, of_picture, picture};
pub use schema::{BadSchema, KeptSchema};
pub use seen::{Nodes, NotSeen, Seen};
pub use wish::{BadWish, Wish};
