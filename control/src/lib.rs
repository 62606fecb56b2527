//! The control plane: keeps hosts, schedules, repositories, jobs and snapshots' metadata, and serves the agents, the API and the
//! pages. It never touches backup bytes and never opens a connection to a host.

pub mod app;
mod background;
pub mod config;
pub mod courier;
pub mod domain;
pub mod http;
pub mod hub;
pub mod presence;
pub mod release;
pub mod service;
pub mod store;
pub mod words;
