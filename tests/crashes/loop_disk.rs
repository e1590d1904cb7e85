//! Disks in files: an ext4 image on an XFS image, both mounted. XFS clones the ext4 image in one instant, under live
//! writes, and what the clone holds is what a disk would hold if its power had been cut in that instant: everything that
//! ext4 has sent to its disk, and nothing that it still had in memory.
//!
//! Only the real root may mount these. Nothing stays behind: mounts and loop devices go when this is dropped, also by a
//! panic; and `./tests/run` runs the tests in a mount namespace of their own, which ends with them even if they are
//! killed.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::Command,
};

use marram_tests::programs;

/// Sparse: what is not written takes no room. XFS refuses to be smaller than 300 MiB.
const XFS_MIB: u64 = 1024;
const EXT4_MIB: u64 = 512;

/// The two images.
pub(crate) struct LoopDisk {
    // In the order of unmounting.
    live: Mount,
    _below: Mount,
    folder: tempfile::TempDir,
}

/// Something mounted, until it is dropped.
pub(crate) struct Mount {
    path: PathBuf,
}

/// A disk as the cut left it.
pub(crate) struct Clone {
    mount: Mount,
    image: PathBuf,
}

impl LoopDisk {
    /// Makes and mounts both.
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let image = folder.path().join("xfs");
        sparse(&image, XFS_MIB);
        programs::succeeds(Command::new("mkfs.xfs").args(["-q", "-m", "reflink=1"]).arg(&image));
        let below = Mount::image(&image, &folder.path().join("below"), "");
        let image = folder.path().join("below/live");
        sparse(&image, EXT4_MIB);
        programs::succeeds(Command::new("mkfs.ext4").arg("-q").arg(&image));
        let live = Mount::image(&image, &folder.path().join("live"), "");
        Self {
            live,
            _below: below,
            folder,
        }
    }

    /// Where the live ext4 is mounted.
    pub(crate) fn live(&self) -> &Path {
        &self.live.path
    }

    /// Cuts the power of a copy of the disk, and switches it on again.
    pub(crate) fn cut(&self) -> Clone {
        let (live, image) = (
            self.folder.path().join("below/live"),
            self.folder.path().join("below/cut"),
        );
        programs::succeeds(Command::new("cp").arg("--reflink=always").args([&live, &image]));
        // The journal is replayed now.
        let mount = Mount::image(&image, &self.folder.path().join("cut"), "");
        let mounts = fs::read_to_string("/proc/mounts").unwrap();
        let writable = mounts.lines().any(|line| {
            let fields: Vec<_> = line.split(' ').collect();
            Path::new(fields[1]) == mount.path
                && fields[2] == "ext4"
                && fields[3].split(',').any(|option| option == "rw")
        });
        assert!(writable, "the clone is not mounted, or not writable:\n{mounts}");
        Clone { mount, image }
    }
}

impl Clone {
    /// Where it is mounted.
    pub(crate) fn path(&self) -> &Path {
        &self.mount.path
    }
}

impl Drop for Clone {
    fn drop(&mut self) {
        self.mount.unmount();
        drop(fs::remove_file(&self.image));
    }
}

impl Mount {
    /// Mounts an image file; its loop device goes with the mount.
    pub(crate) fn image(image: &Path, path: &Path, options: &str) -> Self {
        fs::create_dir_all(path).unwrap();
        let options = ["loop", options].join(",");
        let mut mount = Command::new("mount");
        let mounted = mount
            .args(["-o", options.trim_end_matches(',')])
            .args([image, path])
            .output()
            .unwrap();
        assert!(
            mounted.status.success(),
            "a disk image could not be mounted, which only root can do, outside of most containers: run this test as \
             root, or leave it out, as ./tests/run does and says for who is not root. {}",
            String::from_utf8_lossy(&mounted.stderr)
        );
        Self { path: path.to_owned() }
    }

    /// Mounts a small disk in memory.
    pub(crate) fn memory(path: &Path, mib: usize) -> Self {
        fs::create_dir_all(path).unwrap();
        let size = format!("size={mib}m");
        let mut mount = Command::new("mount");
        let mounted = mount
            .args(["-t", "tmpfs", "-o", &size, "marram-test"])
            .arg(path)
            .output()
            .unwrap();
        assert!(
            mounted.status.success(),
            "a tmpfs could not be mounted: run ./tests/run, or the tests within `unshare --map-root-user --mount`. {}",
            String::from_utf8_lossy(&mounted.stderr)
        );
        Self { path: path.to_owned() }
    }

    /// Where it is mounted.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    fn unmount(&self) {
        let unmounted = Command::new("umount").arg(&self.path).output();
        if !unmounted.is_ok_and(|output| output.status.success()) {
            // Something still runs there. It goes when that ends.
            drop(Command::new("umount").arg("--lazy").arg(&self.path).output());
        }
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        self.unmount();
    }
}

pub(crate) fn sparse(path: &Path, mib: u64) {
    File::create_new(path).unwrap().set_len(mib << 20).unwrap();
}
