//! What the control plane and the agent both know: identifiers, times, the wire contract, cron lines, sealing, and the shape of
//! restic's output. It knows neither of them: no HTTP, no database, no process.

pub mod cron;
pub mod id;
pub mod jwt;
pub mod release;
pub mod restic;
pub mod seal;
pub mod secret;
pub mod spread;
pub mod time;
pub mod wire;
