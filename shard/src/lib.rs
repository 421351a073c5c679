//! One shard: its log, its commands and how they are applied
