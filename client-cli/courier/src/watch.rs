//! `marram-courier watch`: pulls on a schedule, and tells people to look, on the same schedule.
//!
//! ```text
//! a round        ├── jitter ──┤ pull ▒▒▒▒▒▒
//!                             ├──── jitter ────┤ notify
//! ```
//!
//! Whoever watches the courier's network, or a recipient's mailbox, must not learn whether anything arrived. So there is
//! a bundle and a notification after every pull, whatever it brought and even if it failed; the notification says the
//! same each time; and it goes out at a time that was fixed when the pull began (unless the pull takes longer than that).

use std::{
    collections::BTreeMap,
    fs,
    io::Write as _,
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};
use marram_crypto::day::Day;
use marram_online::clock::now_unix_s;
use marram_terminal::{
    error::{ResultExt as _, fail, tell, usage},
    files::{self, Existing},
    home::HomeArgs,
    interrupt,
    output::Output,
};
use rustix::process::{Pid, Signal, kill_process_group};
use serde::{Deserialize, Serialize};

use crate::{PullArgs, WatchArgs, pull};

/// What every command gets on its standard input, each time.
const NOTICE: &str = "The round is over. Look as usual.\n";
/// How long a command may take.
const COMMAND_TIMEOUT: Duration = Duration::from_mins(2);
/// How often it is looked after.
const TICK: Duration = Duration::from_millis(50);
/// In the home: how the last rounds went.
pub(crate) const FILE: &str = "watch.json";
const MAX_FILE_LEN: u64 = 1 << 20;

/// `watch.json`
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Rounds {
    /// Day of the last round.
    pub(crate) day: Option<Day>,
    /// Why its pull failed.
    pub(crate) pull_failed: Option<String>,
    /// For each command that failed in the last round: how many times in a row, and why.
    pub(crate) undelivered: BTreeMap<String, Undelivered>,
}

/// A notification that did not go out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Undelivered {
    pub(crate) times: u64,
    pub(crate) why: String,
}

/// Seconds between rounds, and by how much a round is shifted.
#[derive(Debug, Clone, Copy)]
struct Schedule {
    every_s: u64,
    jitter_s: u64,
}

/// What passes the time; in tests another one than the real one.
trait Clock {
    /// Unix time in seconds.
    fn now(&self) -> u64;
    /// Waits, but not after Ctrl-C.
    fn wait_until(&mut self, unix_s: u64) -> Result<()>;
}

struct RealClock;

impl Clock for RealClock {
    fn now(&self) -> u64 {
        now_unix_s()
    }

    fn wait_until(&mut self, unix_s: u64) -> Result<()> {
        // In short steps, so that a computer that slept, or a clock that was set, is noticed.
        while self.now() < unix_s {
            interrupt::check()?;
            thread::sleep(Duration::from_millis(200));
        }
        Ok(interrupt::check()?)
    }
}

/// `marram-courier watch`
pub(crate) fn watch(out: &Output, home: &HomeArgs, args: &WatchArgs) -> Result<()> {
    let schedule = Schedule::new(args.every, args.jitter)?;
    fs::create_dir_all(&args.into).with_context(|| format!("cannot make {}", args.into.display()))?;
    let file = home.path("courier")?.join(FILE);
    let round = || {
        let pulled = bundle_path(&args.into, Day::from_unix_seconds(now_unix_s())).and_then(|path| {
            let args = PullArgs {
                server: args.server.clone(),
                out: path,
                all: false,
            };
            pull::pull(out, home, &args)
        });
        interrupt::check()?;
        pulled
    };
    let say = |error: &anyhow::Error| tell(out, error);
    run(
        &mut RealClock,
        schedule,
        args.once,
        random_below,
        round,
        &args.notify,
        &file,
        say,
    )
}

/// Rounds until Ctrl-C, or one.
#[expect(
    clippy::too_many_arguments,
    reason = "all of them stand for the world outside, and are replaced in tests"
)]
fn run(
    clock: &mut impl Clock,
    schedule: Schedule,
    once: bool,
    mut draw: impl FnMut(u64) -> Result<u64>,
    mut pull: impl FnMut() -> Result<()>,
    commands: &[String],
    file: &Path,
    say: impl Fn(&anyhow::Error),
) -> Result<()> {
    let first = clock.now();
    let mut base = first;
    loop {
        let begins = base + draw(schedule.jitter_s + 1)?;
        clock.wait_until(begins)?;
        let pulled = pull();
        interrupt::check()?;
        if let (Err(error), false) = (&pulled, once) {
            say(error);
        }
        clock.wait_until(begins + schedule.jitter_s)?;
        let mut rounds = Rounds::read(file)?.unwrap_or_default();
        rounds.day = Some(Day::from_unix_seconds(clock.now()));
        rounds.pull_failed = pulled.as_ref().err().map(|error| format!("{error:#}"));
        rounds.notify(commands, &say)?;
        rounds.save(file)?;
        if once {
            return pulled.and_then(|()| rounds.delivered());
        }
        // The next one that has not begun, however long this one took.
        let passed = clock.now().saturating_sub(first) / schedule.every_s;
        base = first + (passed + 1).max((base - first) / schedule.every_s + 1) * schedule.every_s;
    }
}

impl Schedule {
    fn new(every: Duration, jitter: Duration) -> Result<Self> {
        let (every_s, jitter_s) = (every.as_secs(), jitter.as_secs());
        if every_s == 0 || jitter_s.saturating_mul(2) > every_s {
            return Err(usage(
                "a round begins up to --jitter late and ends --jitter later: --every must be at least twice as long, and a \
                 second at least",
            ));
        }
        Ok(Self { every_s, jitter_s })
    }
}

impl Rounds {
    /// How the last rounds went; nothing, if there was none.
    pub(crate) fn read(file: &Path) -> Result<Option<Self>> {
        match files::read_bounded(file, MAX_FILE_LEN) {
            Ok(json) => serde_json::from_slice(&json)
                .map(Some)
                .with_context(|| format!("{} is damaged", file.display()))
                .hint("remove it: it says only how the last round went"),
            Err(files::FileError::Missing { .. }) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    fn save(&self, file: &Path) -> Result<()> {
        let json = serde_json::to_vec_pretty(self)?;
        Ok(files::atomic_write(file, &json, 0o600, Existing::Replace)?)
    }

    /// Runs every command, each time in the same order. The next round is the next try of those that failed: one more
    /// in between would be another schedule.
    fn notify(&mut self, commands: &[String], say: impl Fn(&anyhow::Error)) -> Result<()> {
        self.undelivered.retain(|command, _| commands.contains(command));
        for command in commands {
            match deliver(command)? {
                Ok(()) => drop(self.undelivered.remove(command)),
                Err(why) => {
                    say(&fail(
                        format!("not delivered: {command}: {why}"),
                        "run the command by hand to see why; the next round tries again",
                    ));
                    let failed = self.undelivered.entry(command.clone()).or_insert(Undelivered {
                        times: 0,
                        why: String::new(),
                    });
                    failed.times += 1;
                    failed.why = why;
                }
            }
        }
        Ok(())
    }

    fn delivered(&self) -> Result<()> {
        match self.undelivered.len() {
            0 => Ok(()),
            count => Err(fail(
                format!("{count} notifications were not delivered"),
                "see above; the next round tries again",
            )),
        }
    }
}

/// Runs a command with the notice on its standard input. The outer error is Ctrl-C.
fn deliver(command: &str) -> Result<Result<(), String>> {
    let started = Command::new("/bin/sh")
        .args(["-c", command])
        .stdin(Stdio::piped())
        // Stdout is for results.
        .stdout(Stdio::null())
        .process_group(0)
        .spawn();
    let mut child = match started {
        Ok(child) => child,
        Err(error) => return Ok(Err(format!("it does not start: {error}"))),
    };
    // Less than a pipe holds; who does not read it has its reasons.
    drop(child.stdin.take().map(|mut stdin| stdin.write_all(NOTICE.as_bytes())));
    let begun = Instant::now();
    loop {
        match child.try_wait() {
            Ok(Some(status)) if status.success() => return Ok(Ok(())),
            Ok(Some(status)) => return Ok(Err(status.to_string())),
            Ok(None) if begun.elapsed() > COMMAND_TIMEOUT => {
                end(&mut child);
                return Ok(Err(format!(
                    "it took longer than {} seconds",
                    COMMAND_TIMEOUT.as_secs()
                )));
            }
            Ok(None) => {}
            Err(error) => return Ok(Err(error.to_string())),
        }
        if let Err(interrupted) = interrupt::check() {
            end(&mut child);
            return Err(interrupted.into());
        }
        thread::sleep(TICK);
    }
}

/// Ends a command and what it started.
fn end(child: &mut Child) {
    if let Some(group) = i32::try_from(child.id()).ok().and_then(Pid::from_raw) {
        let _ = kill_process_group(group, Signal::KILL);
    }
    let _ = child.wait();
}

/// A name for the next bundle: by day, and counted.
fn bundle_path(folder: &Path, today: Day) -> Result<PathBuf> {
    let names = (1..10_000).map(|number| folder.join(format!("bundle-{today}-{number}.tar")));
    let free = names.into_iter().find(|path| fs::symlink_metadata(path).is_err());
    free.with_context(|| format!("{} is full of bundles of {today}", folder.display()))
}

/// A number below `end`, by the operating system's randomness.
fn random_below(end: u64) -> Result<u64> {
    let mut bytes = [0; 8];
    getrandom::fill(&mut bytes).context("the operating system gives no randomness")?;
    // A bias of 2^-40 at most, in when a round begins.
    Ok(u64::from_be_bytes(bytes) % end.max(1))
}

/// `90s`, `30m`, `6h` or `1d`.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let parsed = || {
        let (number, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
        let unit_s = match unit {
            "s" => 1,
            "m" => 60,
            "h" => 3_600,
            "d" => 86_400,
            _ => return None,
        };
        // A year at most, so that no sum overflows.
        let seconds: u64 = number.parse::<u32>().ok().map(u64::from)? * unit_s;
        (seconds <= 366 * 86_400).then(|| Duration::from_secs(seconds))
    };
    parsed().ok_or_else(|| "a number and s, m, h or d, such as 6h".to_owned())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::{
        cell::{Cell, RefCell},
        rc::Rc,
    };

    use super::*;

    /// Time that passes only when somebody waits; after some hours it ends the program, as Ctrl-C would.
    struct Fake {
        now: Rc<Cell<u64>>,
        until: u64,
        waited_for: Vec<u64>,
    }

    impl Clock for Fake {
        fn now(&self) -> u64 {
            self.now.get()
        }

        fn wait_until(&mut self, unix_s: u64) -> Result<()> {
            anyhow::ensure!(unix_s <= self.until, "the end");
            self.waited_for.push(unix_s);
            self.now.set(unix_s.max(self.now.get()));
            Ok(())
        }
    }

    /// What somebody outside sees.
    #[derive(Debug, PartialEq)]
    struct Seen {
        /// When pulls begin and notifications go out, in turn.
        times: Vec<u64>,
        /// Arguments, standard input, folder and environment of each notification, for each of the recipients.
        notified: [Vec<String>; 2],
    }

    const START: u64 = 1_795_000_000;
    const END: &str = "end of a notification\n";

    /// Five hours with two recipients, of whom the second is reached only where `reachable` says so. Each pull takes as
    /// long, and ends, as `pull` says.
    fn watched(
        pull: impl Fn(u64) -> (u64, Result<()>),
        reachable: impl Fn(u64) -> bool,
    ) -> (Seen, Rounds, Vec<String>) {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let command = |name: &str| {
            let see = "echo \"$0 $# $*\"; cat; pwd; env | sort";
            format!(
                "cd '{}' && {{ {see}; printf '{END}'; }} | sed 's|{0}||' >>{name}",
                folder.path().display()
            )
        };
        let second = format!("{}; test ! -e '{}'", command("two"), path("down").display());
        let now = Rc::new(Cell::new(START));
        let mut clock = Fake {
            now: Rc::clone(&now),
            until: START + 5 * 3_600,
            waited_for: Vec::new(),
        };
        let schedule = Schedule::new(Duration::from_hours(1), Duration::from_mins(10)).unwrap();
        let mut draws = 0;
        let draw = |end| {
            draws += 97;
            Ok(draws % end)
        };
        let mut round = 0;
        let pull = || {
            let (takes, result) = pull(round);
            if reachable(round) {
                drop(fs::remove_file(path("down")));
            } else {
                fs::write(path("down"), "").unwrap();
            }
            round += 1;
            now.set(now.get() + takes);
            result
        };
        let said = RefCell::new(Vec::new());
        let say = |error: &anyhow::Error| said.borrow_mut().push(error.to_string());
        let file = path(FILE);
        let commands = [command("one"), second];
        let end = run(&mut clock, schedule, false, draw, pull, &commands, &file, say).unwrap_err();
        assert_eq!(end.to_string(), "the end");
        let heard = |name| {
            let heard = fs::read_to_string(path(name)).unwrap();
            heard.split_inclusive(END).map(str::to_owned).collect()
        };
        let seen = Seen {
            times: clock.waited_for,
            notified: ["one", "two"].map(heard),
        };
        (seen, Rounds::read(&file).unwrap().unwrap(), said.into_inner())
    }

    #[test]
    fn a_notification_goes_out_after_every_pull_at_the_same_time_and_says_the_same_whatever_came() {
        let (quiet, state, said) = watched(|_| (1, Ok(())), |_| true);
        assert_eq!((state.pull_failed, said.len()), (None, 0));
        assert_eq!(quiet.times.len(), 10, "five rounds: {:?}", quiet.times);
        for recipient in &quiet.notified {
            assert_eq!(recipient.len(), 5);
            assert!(recipient[0].contains(NOTICE));
            assert!(recipient.iter().all(|notice| *notice == recipient[0]));
        }
        // Pulls that take long.
        assert_eq!(watched(|round| (120 * round, Ok(())), |_| true).0, quiet);
        // Pulls that fail, from the second one on: it goes on, and says so.
        let fails = |round| {
            (
                5,
                if round == 0 {
                    Ok(())
                } else {
                    Err(anyhow::anyhow!("no connection"))
                },
            )
        };
        let (failing, state, said) = watched(fails, |_| true);
        assert_eq!(failing, quiet);
        assert_eq!((state.pull_failed.as_deref(), said.len()), (Some("no connection"), 4));
    }

    #[test]
    fn a_delivery_that_fails_is_remembered_until_a_round_in_which_it_succeeds() {
        let (seen, state, said) = watched(|_| (1, Ok(())), |round| round < 3);
        assert_eq!(
            seen.notified.map(|recipient| recipient.len()),
            [5, 5],
            "the other recipient is not kept waiting"
        );
        assert_eq!(said.len(), 2);
        assert!(said[0].contains("not delivered"), "{said:?}");
        let failed: Vec<_> = state.undelivered.into_values().collect();
        assert_eq!(failed.len(), 1);
        assert_eq!((failed[0].times, failed[0].why.as_str()), (2, "exit status: 1"));
        let (_, state, said) = watched(|_| (1, Ok(())), |round| round == 4);
        assert_eq!((state.undelivered.len(), said.len()), (0, 4));
    }

    #[test]
    fn rounds_that_were_slept_through_are_left_out() {
        let (seen, ..) = watched(|round| (if round == 0 { 2 * 3_600 } else { 1 }, Ok(())), |_| true);
        let begins: Vec<u64> = seen
            .times
            .iter()
            .step_by(2)
            .map(|time| (time - START) / 3_600)
            .collect();
        assert_eq!(begins, [0, 3, 4]);
    }

    #[test]
    fn a_schedule_without_room_for_its_jitter_is_refused() {
        let schedule = |every, jitter| Schedule::new(Duration::from_secs(every), Duration::from_secs(jitter));
        assert!(schedule(60, 30).is_ok() && schedule(1, 0).is_ok());
        assert!(schedule(60, 31).is_err() && schedule(0, 0).is_err());
        assert_eq!(duration("6h"), Ok(Duration::from_hours(6)));
        for wrong in ["", "h", "6", "-1h", "6 h", "6x", "4294967295d", "6ん"] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
    }
}
