//! The doors: `api` for people's scripts, `agent` for agents, `pages` for browsers. Each handler extracts, authorises, calls a service
//! and answers; none of them knows the database.

pub mod agent;
pub mod api;
pub mod assets;
pub mod audited;
pub mod csv;
pub mod docs;
pub mod guard;
pub mod health;
pub mod layers;
pub mod pages;
pub mod params;
pub mod problem;
pub mod release_file;
pub mod routes;
