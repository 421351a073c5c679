//! The VectorCollection API types, their validation and the generated CRD
