//! The real server over a store in memory, driven by a client. Modules mirror the tree of URLs; what is about connections
//! rather than resources stands in `connection` and `forwarded`.

#![allow(clippy::unwrap_used)] // a test may panic

mod access;
mod access_log;
mod audit;
mod connection;
mod drain;
mod forwarded;
mod health;
mod limits;
mod metrics;
mod server;
mod store;
mod tls;
mod v2;
