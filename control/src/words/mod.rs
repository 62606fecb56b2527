//! Every sentence that the program makes for people who look at pages or get messages, in one place, so that another language is a sibling of this
//! one. Texts that never change stand in `templates/`. Sentences are whole, with named values; one and several are sentences of their own. Pure:
//! it knows what things are (`domain`, `shared`), and no database, service or door. What the API says to programs is no part of it: that is a
//! contract, in English, and stands beside the rules that say it (see `refusal`).

pub mod alert;
pub mod attention;
pub mod audit;
pub mod calendar;
pub mod cause;
pub mod channel;
pub mod courier;
pub mod done;
pub mod field;
pub mod figures;
pub mod filter;
pub mod fleet;
pub mod host_action;
pub mod job;
pub mod notice;
pub mod operation;
pub mod outcome;
pub mod recovery;
pub mod refusal;
pub mod release;
pub mod repository;
pub mod restored;
pub mod run_now;
pub mod schedule;
pub mod state;
pub mod summary;
pub mod things;
pub mod token;
mod viewer;
pub mod wrong;

pub use figures::{Moment, bytes, capital, count, day, number, plural, size, span};
pub use viewer::{told_in, viewer};
