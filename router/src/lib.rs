//! The stateless front end: REST in, fan-out to shards, merge
