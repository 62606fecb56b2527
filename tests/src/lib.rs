//! The harness of the end-to-end tests, in the product's words: a real control plane, real agents, real restic, a real rest-server and a
//! real browser, each in a folder of its own, gone when the test ends.

#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)] // a test stops at the first thing that is not as it should be

pub mod agent;
pub mod backends;
pub mod browser;
pub mod calm;
pub mod chaos;
pub mod clock;
pub mod control;
pub mod dice;
pub mod disk;
pub mod fake_agent;
pub mod fleet;
pub mod looks;
pub mod proxy;
pub mod release;
pub mod seeded;
pub mod storage;
pub mod tools;
pub mod torment;
pub mod verdict;
pub mod visitor;
