//! Waiting before another try, and the agent's only randomness. Full jitter: each wait is drawn evenly from nothing to the limit, so
//! that agents that failed together do not come back together.

use std::time::Duration;

/// The longest wait.
pub const CAP: Duration = Duration::from_secs(60);
const FIRST: Duration = Duration::from_secs(1);

/// How long to wait after how many failures in a row.
#[derive(Debug, Default)]
pub struct Backoff {
    failures: u32,
}

impl Backoff {
    /// The next wait after another failure.
    pub fn next_wait(&mut self) -> Duration {
        let limit = self.limit();
        self.failures = self.failures.saturating_add(1);
        jitter(limit)
    }

    /// The longest that the next wait may be.
    #[must_use]
    pub fn limit(&self) -> Duration {
        FIRST.saturating_mul(1 << self.failures.min(10)).min(CAP)
    }

    /// It worked: start over.
    pub fn reset(&mut self) {
        self.failures = 0;
    }
}

/// A number below `n`; 0 if that is 0.
#[must_use]
pub fn below(n: u64) -> u64 {
    rand::random_range(0..n.max(1))
}

/// A wait between nothing and the limit.
#[must_use]
pub fn jitter(limit: Duration) -> Duration {
    let micros = u64::try_from(limit.as_micros()).unwrap_or(u64::MAX);
    Duration::from_micros(rand::random_range(0..=micros))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_double_up_to_the_cap_and_start_over() {
        let mut backoff = Backoff::default();
        let limits: Vec<u64> = (0..8)
            .map(|_| {
                let limit = backoff.limit();
                assert!(backoff.next_wait() <= limit);
                limit.as_secs()
            })
            .collect();
        assert_eq!(limits, [1, 2, 4, 8, 16, 32, 60, 60]);
        backoff.reset();
        assert_eq!(backoff.limit().as_secs(), 1);
    }
}
