//! The door for browsers: pages rendered on the server, forms that work without script, and fragments that keep open pages fresh.
//! Everything a page does goes through the same services as the API.

pub mod acknowledge;
pub mod alerts;
pub mod attention;
pub mod cause;
pub mod channel_form;
pub mod channel_sent;
pub mod channels;
pub mod chart;
pub mod dashboard;
pub mod destination;
pub mod door;
pub mod drills;
pub mod engine;
pub mod failed;
pub mod form;
pub mod freeze;
pub mod host_actions;
pub mod host_add;
pub mod host_added;
pub mod host_choice;
pub mod host_settings;
pub mod host_tabs;
pub mod hosts;
pub mod job_list;
pub mod jobs;
pub mod names;
pub mod narrowed;
pub mod outcome;
pub mod paths;
pub mod pause;
pub mod programs;
pub mod progress;
pub mod recovery;
pub mod remedy;
pub mod repositories;
pub mod repository;
pub mod restore;
pub mod run_now;
pub mod schedule_form;
pub mod schedule_preview;
pub mod schedules;
pub mod search;
pub mod session;
pub mod settings;
pub mod snapshots;
pub mod speed;
pub mod states;
pub mod strip;
pub mod view;
pub mod waits;
pub mod welcome;
pub mod when;
pub mod zone;

pub use engine::Pages;

use super::assets;
use actix_web::dev::HttpServiceFactory;
use actix_web::middleware::from_fn;
use actix_web::web;

/// Registers static files and all pages; for tests, what only they look at too. It takes what no other door takes, so it comes last. Needs
/// [`Pages`] as app data.
pub fn configure(for_tests: bool) -> impl Fn(&mut web::ServiceConfig) {
    move |config| {
        config.service(assets::serve).service(pages(for_tests));
    }
}

fn pages(for_tests: bool) -> impl HttpServiceFactory + 'static {
    web::scope("")
        .wrap(from_fn(door::errors))
        .wrap(from_fn(zone::viewers))
        .service(session::setup_form)
        .service(session::setup)
        .service(session::login_form)
        .service(session::login)
        .service(session::logout)
        .service(session::theme)
        .service(session::keys)
        .service(zone::choose)
        .service(dashboard::show)
        .service(dashboard::live)
        .configure(first_steps)
        .configure(fleet)
        .service(schedules::list)
        .service(schedules::new)
        .service(schedules::add)
        .service(schedules::edit)
        .service(schedules::save)
        .service(schedules::runs)
        .service(schedules::ask_delete)
        .service(schedules::delete)
        .service(job_list::list)
        .service(job_list::live)
        .service(jobs::live)
        .service(jobs::show)
        .service(jobs::ask_cancel)
        .service(jobs::cancel)
        .service(repositories::list)
        .service(repositories::live)
        .service(repositories::blank)
        .service(repositories::add)
        .configure(stopping)
        .configure(repository)
        .configure(settings_tabs)
        .configure(restores)
        .service(recovery::show)
        .service(recovery::make)
        .service(search::find)
        .service(snapshots::list)
        .service(snapshots::compare)
        .service(drills::list)
        .service(alerts::list)
        .service(alerts::live)
        .service(acknowledge::ask)
        .service(acknowledge::acknowledge)
        .service(acknowledge::reopen)
        .configure(notifications)
        .configure(|config| {
            if for_tests {
                config.service(states::show);
            }
        })
}

/// What takes the dashboard's place before there is something on it.
fn first_steps(config: &mut web::ServiceConfig) {
    config
        .service(welcome::live)
        .service(welcome::connect)
        .service(welcome::add_host)
        .service(welcome::run)
        .service(welcome::leave)
        // The address of a form that came back with an error, opened again.
        .service(web::redirect("/welcome/{form}", "/").see_other());
}

/// Hosts, and what is done with one.
fn fleet(config: &mut web::ServiceConfig) {
    config
        .service(hosts::list)
        .service(host_add::blank)
        .service(host_add::add)
        .service(host_added::show)
        .service(host_added::live)
        .service(host_added::ask)
        .service(host_added::renew)
        .service(host_actions::ask)
        .service(host_actions::carry_out)
        .service(hosts::live)
        .service(hosts::show)
        .service(host_tabs::host_jobs)
        .service(host_tabs::host_snapshots)
        .service(run_now::ask)
        .service(run_now::run)
        .service(run_now::run_schedule)
        .service(host_settings::show)
        .service(host_settings::save)
        .service(host_settings::ask_remove)
        .service(host_settings::remove);
}

/// What is held for a while: the schedules of a host, one of them, its retention.
fn stopping(config: &mut web::ServiceConfig) {
    config
        .service(freeze::ask)
        .service(freeze::stop)
        .service(freeze::ask_thaw)
        .service(freeze::thaw)
        .service(pause::ask_host)
        .service(pause::pause_host)
        .service(pause::resume_host)
        .service(pause::ask_schedule)
        .service(pause::pause_schedule)
        .service(pause::resume_schedule);
}

/// Where people are told of alerts.
fn notifications(config: &mut web::ServiceConfig) {
    config
        .service(channels::list)
        .service(channels::test)
        .service(channels::summary)
        .service(channels::ask_delete)
        .service(channels::delete)
        .service(channel_form::new)
        .service(channel_form::add)
        .service(channel_form::edit)
        .service(channel_form::save)
        .service(channel_sent::show);
}

/// The restore wizard.
fn restores(config: &mut web::ServiceConfig) {
    use self::restore::{files, find, start, target};
    config
        .service(start::show)
        .service(start::begin)
        .service(find::search)
        .service(find::versions)
        .service(start::leave)
        .service(files::show)
        .service(files::lines)
        .service(files::tick)
        .service(target::show)
        .service(target::aim)
        .service(target::preview)
        .service(target::run);
}

/// Settings, tab by tab.
fn settings_tabs(config: &mut web::ServiceConfig) {
    use self::settings::{audit, general, releases, rollout, tokens, users};
    config
        .service(general::show)
        .service(general::save)
        .service(users::list)
        .service(users::add)
        .service(users::show)
        .service(users::change)
        .service(tokens::list)
        .service(tokens::add)
        .service(tokens::ask_revoke)
        .service(tokens::revoke)
        .service(audit::list)
        .service(releases::show)
        .service(releases::live)
        .service(releases::add)
        .service(rollout::start)
        .service(rollout::pause)
        .service(rollout::resume)
        .service(rollout::ask_advance)
        .service(rollout::advance)
        .service(rollout::ask_back)
        .service(rollout::back)
        .service(rollout::retry)
        .service(rollout::ask_withdraw)
        .service(rollout::withdraw);
}

/// The tabs of one repository, and what is done there.
fn repository(config: &mut web::ServiceConfig) {
    use self::repository::{access, changes, locks, maintenance, operations, overview, retention, settings, snapshots};
    config
        .service(overview::show)
        .service(overview::live)
        .service(locks::look_at_locks)
        .service(locks::ask_remove)
        .service(maintenance::show)
        .service(maintenance::save)
        .service(maintenance::ask_run)
        .service(maintenance::run)
        .service(retention::show)
        .service(retention::ask)
        .service(retention::carry_out)
        .service(snapshots::list)
        .service(snapshots::pick)
        .service(snapshots::vouch)
        .service(changes::show)
        .service(changes::file)
        .service(operations::show)
        .service(operations::ask)
        .service(operations::confirm)
        .service(access::show)
        .service(access::let_in)
        .service(access::account)
        .service(access::ask_remove)
        .service(access::remove)
        .service(settings::show)
        .service(settings::save)
        .service(settings::ask_rotate)
        .service(settings::rotate)
        .service(settings::ask_delete)
        .service(settings::delete);
}
