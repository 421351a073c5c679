//! Where a collection's ring, and what is beside it, are kept:
//!
//! ```text
//! RingStore:  FileRingStore          one ring in one file
//!             RingValue<Values>      one ring among a collection's values
//! Values:     MemoryStore            for tests and simulations
//!             EtcdStore              EtcdRingStore = RingValue<EtcdStore>
//! Election:   LocalElection          within a process; of file and memory
//!             EtcdStore              by a lease
//! ```

mod etcd;
mod file;
mod local;
mod memory;
mod ring_value;
pub mod sealed;

pub use etcd::{
    Etcd, EtcdError, EtcdOptions, EtcdRingStore, EtcdStore, Expiry, OptionsError, TlsError,
    TlsFiles, User as EtcdUser,
};
pub use file::{FileError, FileRingStore};
pub use local::LocalElection;
pub use memory::{Fault, MemoryStore};
pub use ring_value::{NotOurRing, RingValue};
