//! What only S3 has.
