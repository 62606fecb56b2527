//! What is done to a fleet, and when: an agent killed after so many of its own log lines, or its disk filled; restic killed in mid-run; the
//! control plane killed, the cable pulled, and clocks set, at times that the seed says.

use crate::chaos::{Bedded, Time};
use crate::clock::Clock;
use crate::control::ControlPlane;
use crate::dice::Dice;
use crate::disk::Disk;
use crate::proxy::Proxy;
use std::collections::BTreeMap;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
use tokio::time::sleep;

/// How often a file is looked at for news.
const LOOK: Duration = Duration::from_millis(20);
/// What an agent says at the points where a kill hurts most.
const POINTS: [&str; 4] = ["job accepted", "job ended", "end is confirmed", "new desired state"];

/// What was done how often.
#[derive(Debug, Default)]
pub struct Kills {
    agents: AtomicU64,
    control: AtomicU64,
    restic: AtomicU64,
    disks: AtomicU64,
    cables: AtomicU64,
    clocks: AtomicU64,
    /// Becomes true when it is enough.
    pub enough: AtomicBool,
}

impl Kills {
    /// What was done how often, by name.
    #[must_use]
    pub fn counts(&self) -> BTreeMap<&'static str, u64> {
        let counts = [
            ("agents killed", &self.agents),
            ("control planes killed", &self.control),
            ("restics killed", &self.restic),
            ("disks filled", &self.disks),
            ("cables pulled", &self.cables),
            ("clocks set", &self.clocks),
        ];
        counts.into_iter().map(|(name, count)| (name, count.load(Ordering::Relaxed))).collect()
    }

    fn go_on(&self) -> bool {
        !self.enough.load(Ordering::Relaxed)
    }

    async fn pause(&self, millis: u64) {
        let mut left = millis;
        while left > 0 && self.go_on() {
            let step = left.min(50);
            sleep(Duration::from_millis(step)).await;
            left -= step;
        }
    }
}

/// Reads what is appended to a file.
struct Tail {
    path: PathBuf,
    at: u64,
}

impl Tail {
    fn new(path: PathBuf) -> Self {
        let at = path.metadata().map_or(0, |m| m.len());
        Self { path, at }
    }

    fn news(&mut self) -> String {
        let mut bytes = Vec::new();
        if let Ok(mut file) = std::fs::File::open(&self.path) {
            file.seek(SeekFrom::Start(self.at)).unwrap();
            file.read_to_end(&mut bytes).unwrap();
        }
        // A line that is still being written is read again, whole.
        bytes.truncate(bytes.iter().rposition(|b| *b == b'\n').map_or(0, |end| end + 1));
        self.at += bytes.len() as u64;
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

/// Does to a host what is due to it; gives it back with its agent running.
pub async fn host(mut host: Bedded, dice: Dice, kills: Arc<Kills>) -> Bedded {
    match host.agent.disk.take() {
        Some(disk) => host.agent.disk = Some(fill(disk, dice, &kills).await),
        None => kill(&mut host, dice, &kills).await,
    }
    host
}

/// Kills an agent again and again.
async fn kill(host: &mut Bedded, mut dice: Dice, kills: &Kills) {
    while kills.go_on() {
        let point = POINTS[dice.below(3) as usize];
        let count = 3 + dice.below(12) as usize;
        let home = host.agent.dir.path();
        let starts = dice.chance(25).then(|| Tail::new(home.join("starts")));
        let mut tail = starts.unwrap_or_else(|| Tail::new(home.join("log")));
        let by_start = tail.path.ends_with("starts");
        let mut seen = 0;
        while kills.go_on() && seen < count {
            sleep(LOOK).await;
            let news = tail.news();
            seen += news.lines().filter(|l| by_start || l.contains(point)).count();
        }
        if !kills.go_on() {
            return;
        }
        host.agent.kill();
        kills.agents.fetch_add(1, Ordering::Relaxed);
        kills.pause(dice.below(1_500)).await;
        host.agent.start();
    }
}

/// Fills a disk again and again; gives it back with room.
async fn fill(disk: Disk, mut dice: Dice, kills: &Kills) -> Disk {
    while kills.go_on() {
        kills.pause(2_000 + dice.below(3_000)).await;
        disk.fill();
        kills.disks.fetch_add(1, Ordering::Relaxed);
        kills.pause(500 + dice.below(2_000)).await;
        disk.free();
    }
    disk
}

/// Pulls the cable between agents and control plane for so long now and then.
pub async fn network(proxy: Arc<Proxy>, mut dice: Dice, out: Duration, kills: Arc<Kills>) {
    while kills.go_on() {
        kills.pause(10_000 + dice.below(20_000)).await;
        if kills.go_on() {
            proxy.shut(true);
            kills.cables.fetch_add(1, Ordering::Relaxed);
            kills.pause(u64::try_from(out.as_millis()).unwrap()).await;
            proxy.shut(false);
        }
    }
}

/// Sets clocks that can be set: mostly an agent's, sometimes the control plane's, which comes first. In the end all are true.
pub async fn clocks(clocks: Vec<Arc<Clock>>, time: Time, mut dice: Dice, kills: Arc<Kills>) {
    if time != Time::Moved {
        return;
    }
    while kills.go_on() {
        kills.pause(2_000 + dice.below(6_000)).await;
        if kills.go_on() {
            let clock = &clocks[dice.below(clocks.len() as u64) as usize];
            clock.set(i64::try_from(dice.below(90 * 60)).unwrap() - 45 * 60);
            kills.clocks.fetch_add(1, Ordering::Relaxed);
        }
    }
    clocks.iter().for_each(|clock| clock.set(0));
}

/// Kills a running fake restic now and then.
pub async fn restic(homes: Vec<PathBuf>, mut dice: Dice, kills: Arc<Kills>) {
    while kills.go_on() {
        kills.pause(300 + dice.below(2_000)).await;
        let home = &homes[dice.below(homes.len() as u64) as usize];
        let running = running(home);
        if !running.is_empty() && kills.go_on() {
            let pid = running[dice.below(running.len() as u64) as usize];
            if Command::new("kill").args(["-9", &pid.to_string()]).stderr(Stdio::null()).status().unwrap().success() {
                kills.restic.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
}

/// The fakes of a home that run now. A number alone may be another process's by now; the job in its arguments says.
pub fn running(home: &Path) -> Vec<u32> {
    let starts = std::fs::read_to_string(home.join("starts")).unwrap_or_default();
    let is_ours = |line: &str| {
        let mut words = line.split(' ');
        let (job, pid) = (words.next()?, words.next()?.parse::<u32>().ok()?);
        let args = std::fs::read(format!("/proc/{pid}/cmdline")).ok()?;
        String::from_utf8_lossy(&args).contains(job).then_some(pid)
    };
    starts.lines().rev().take(20).filter_map(is_ours).collect()
}

/// Kills the control plane at times that the dice say, and starts it again; gives it back running.
pub async fn control(mut control: ControlPlane, mut dice: Dice, kills: Arc<Kills>) -> ControlPlane {
    loop {
        kills.pause(3_000 + dice.below(6_000)).await;
        if !kills.go_on() {
            return control;
        }
        control.crash();
        kills.control.fetch_add(1, Ordering::Relaxed);
        kills.pause(dice.below(1_500)).await;
        control = tokio::task::spawn_blocking(move || {
            control.revive();
            control
        })
        .await
        .unwrap();
    }
}
