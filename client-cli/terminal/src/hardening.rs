//! What a program denies itself before it touches a secret.
//!
//! Each is a second wall: the offline programs link no network code in the first place, and secrets are cleared from
//! memory when they go. Swap is outside of this: where memory cannot be locked, encrypt it or turn it off.

use std::collections::BTreeMap;
use std::env::consts::ARCH;

use rustix::mm::{MlockAllFlags, mlockall};
use rustix::process::{DumpableBehavior, Resource, Rlimit, getrlimit, set_dumpable_behavior, setrlimit};
use seccompiler::{
    BackendError, BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, TargetArch,
};

use crate::output::Output;

/// What of [`harden`] the system granted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hardening {
    /// A crash writes no core file.
    pub no_core_dumps: bool,
    /// Other processes of the same user cannot read this one's memory (but for root).
    pub not_dumpable: bool,
    /// Memory is never swapped out.
    pub memory_locked: bool,
}

/// No core dumps, not readable by other processes of the same user, and memory kept out of swap where that is allowed.
/// Best effort: none of it is a reason not to work.
pub fn harden() -> Hardening {
    let no_core_dumps = setrlimit(
        Resource::Core,
        Rlimit {
            current: Some(0),
            maximum: Some(0),
        },
    )
    .is_ok();
    let not_dumpable = set_dumpable_behavior(DumpableBehavior::NotDumpable).is_ok();
    // With a limit, which is 8 MiB on most systems, locking would succeed now and the 256 MiB that scrypt needs
    // would fail later: only without one.
    let unlimited = getrlimit(Resource::Memlock).current.is_none();
    let flags = MlockAllFlags::CURRENT | MlockAllFlags::FUTURE | MlockAllFlags::ONFAULT;
    let memory_locked = unlimited && mlockall(flags).is_ok();
    Hardening {
        no_core_dumps,
        not_dumpable,
        memory_locked,
    }
}

impl Hardening {
    /// Warns if what this program holds in memory may reach a disk as swap.
    pub fn warn_of_swap(&self, out: &Output) {
        if !self.memory_locked && swaps_to_disk(&std::fs::read_to_string("/proc/swaps").unwrap_or_default()) {
            out.warning(
                "this computer may write what is in memory to its disk (swap). Turn swap off (swapoff -a), or make sure \
                 that it is encrypted",
            );
        }
    }
}

/// Whether a table of `/proc/swaps` has more than compressed memory in it.
fn swaps_to_disk(table: &str) -> bool {
    table.lines().skip(1).any(|line| !line.starts_with("/dev/zram"))
}

/// Why the network could not be denied.
#[derive(Debug, thiserror::Error)]
pub enum HardeningError {
    /// This system has no filter for it.
    #[error("this system cannot deny a program the network: {0}")]
    Seccomp(#[from] seccompiler::Error),
    /// No filter could be made, for instance on a processor that is not known.
    #[error("no filter against the network could be made: {0}")]
    Filter(#[from] BackendError),
}

impl HardeningError {
    /// What to do next.
    pub fn next_step(&self) -> Option<String> {
        Some("use Linux 4.14 or newer on x86-64 or 64-bit ARM, outside of containers that forbid seccomp".into())
    }
}

/// From here on no thread of this process, and no process it starts, can open a socket that reaches a network: it
/// fails with EPERM. Unix sockets stay, since pinentry's window needs one; `io_uring`, which would open sockets past
/// the filter, goes. There is no way back.
///
/// # Errors
/// [`HardeningError`]; an offline program then refuses to work.
pub fn deny_network() -> Result<(), HardeningError> {
    let not_unix = SeccompCondition::new(
        0,
        SeccompCmpArgLen::Dword,
        SeccompCmpOp::Ne,
        libc::AF_UNIX.unsigned_abs().into(),
    )?;
    let sockets = vec![SeccompRule::new(vec![not_unix])?];
    let mut rules = BTreeMap::from([
        (libc::SYS_socket, sockets.clone()),
        (libc::SYS_io_uring_setup, Vec::new()),
    ]);
    if cfg!(target_arch = "x86_64") {
        // The same calls under the numbers of the x32 interface, which some kernels still answer.
        const X32: i64 = 0x4000_0000;
        rules.insert(X32 | libc::SYS_socket, sockets);
        rules.insert(X32 | libc::SYS_io_uring_setup, Vec::new());
    }
    let denied = SeccompAction::Errno(libc::EPERM.unsigned_abs());
    let filter = SeccompFilter::new(rules, SeccompAction::Allow, denied, TargetArch::try_from(ARCH)?)?;
    let program = BpfProgram::try_from(filter)?;
    Ok(seccompiler::apply_filter_all_threads(&program)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn swap_on_a_disk_is_told_from_compressed_memory_and_from_none() {
        let head = "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n";
        assert!(!swaps_to_disk(""));
        assert!(!swaps_to_disk(head));
        assert!(!swaps_to_disk(&format!("{head}/dev/zram0 partition 4194300 0 100\n")));
        assert!(swaps_to_disk(&format!(
            "{head}/dev/zram0 partition 1 0 100\n/swapfile file 2097148 0 -2\n"
        )));
    }
}
