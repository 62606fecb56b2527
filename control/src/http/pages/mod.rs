//! The door for browsers: pages rendered on the server, forms that work without script, and fragments that keep open pages fresh.
//! Everything a page does goes through the same services as the API.

pub mod cause;
pub mod dashboard;
pub mod door;
pub mod engine;
pub mod form;
pub mod host_add;
pub mod hosts;
pub mod jobs;
pub mod names;
pub mod repositories;
pub mod schedule_form;
pub mod schedules;
pub mod session;
pub mod view;
pub mod when;
pub mod words;

pub use engine::Pages;

use super::assets;
use actix_web::middleware::from_fn;
use actix_web::web;

/// Registers static files and all pages. It takes what no other door takes, so it comes last. Needs [`Pages`] as app data.
pub fn configure(config: &mut web::ServiceConfig) {
    config.service(assets::serve).service(
        web::scope("")
            .wrap(from_fn(door::errors))
            .service(session::setup_form)
            .service(session::setup)
            .service(session::login_form)
            .service(session::login)
            .service(session::logout)
            .service(session::theme)
            .service(dashboard::show)
            .service(dashboard::live)
            .service(hosts::list)
            .service(host_add::blank)
            .service(host_add::add)
            .service(host_add::live)
            .service(hosts::live)
            .service(hosts::show)
            .service(hosts::host_jobs)
            .service(hosts::host_snapshots)
            .service(hosts::run)
            .service(schedules::list)
            .service(schedules::new)
            .service(schedules::add)
            .service(schedules::edit)
            .service(schedules::save)
            .service(schedules::runs)
            .service(schedules::ask_delete)
            .service(schedules::delete)
            .service(schedules::run)
            .service(jobs::list)
            .service(jobs::live)
            .service(jobs::show)
            .service(jobs::ask_cancel)
            .service(jobs::cancel)
            .service(repositories::list)
            .service(repositories::blank)
            .service(repositories::add)
            .service(repositories::show)
            .service(repositories::save)
            .service(repositories::let_in),
    );
}
