//! One replica's data: points, vector indexes, views, checkpoints
