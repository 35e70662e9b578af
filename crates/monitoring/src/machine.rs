//! Readings of the machine under a server: its memory, and the disks of its folders.
//!
//! A reading that the system does not offer is `None`, never 0: an alert on it stays silent, and does not fire.

use rustix::fs::statvfs;
use std::{
    fs, io,
    path::{Path, PathBuf},
};

/// The memory of this process, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Memory {
    /// The resident memory.
    pub resident: Option<u64>,
    /// The limit: that of its control group, or the memory of the machine if there is none or a larger one.
    pub limit: Option<u64>,
}

/// The file system of a folder, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DiskSpace {
    /// The bytes that this process may still write.
    pub free: u64,
    /// The size, without what is reserved for root.
    pub size: u64,
}

/// Reads the memory of this process, from `/proc` and `/sys/fs/cgroup` of Linux.
#[must_use]
pub fn memory() -> Memory {
    memory_below(Path::new("/"))
}

fn memory_below(root: &Path) -> Memory {
    let read = |path: &Path| fs::read_to_string(root.join(path)).ok();
    let status = read(Path::new("proc/self/status"));
    let machine = read(Path::new("proc/meminfo"));
    let groups = read(Path::new("proc/self/cgroup")).unwrap_or_default();
    let limits =
        limit_files(&groups).into_iter().filter_map(|path| read(&path)?.trim().parse().ok());
    let machine = machine.and_then(|text| kibibytes(&text, "MemTotal:"));
    Memory {
        resident: status.and_then(|text| kibibytes(&text, "VmRSS:")),
        limit: limits.chain(machine).min(),
    }
}

/// Returns the files that may hold the limit of a process in `groups`, relative to the root: its group and all above it, since
/// the smallest limit holds. `max` (version 2) is no number, and the largest number (version 1) is above that of the machine.
fn limit_files(groups: &str) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for line in groups.lines() {
        let mut parts = line.splitn(3, ':');
        let (Some(_), Some(controllers), Some(path)) = (parts.next(), parts.next(), parts.next())
        else {
            continue;
        };
        let (root, file) = match controllers {
            "" => ("sys/fs/cgroup", "memory.max"),
            it if it.split(',').any(|one| one == "memory") => {
                ("sys/fs/cgroup/memory", "memory.limit_in_bytes")
            }
            _ => continue,
        };
        let group = Path::new(path.trim_start_matches('/'));
        // A container without its own view of the groups has its limit at the root.
        files.extend(group.ancestors().map(|group| Path::new(root).join(group).join(file)));
    }
    files
}

/// Returns the value of a line such as `VmRSS:      1234 kB`, in bytes.
fn kibibytes(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1_024)
}

/// Returns the space on the file system of `folder`; of the nearest folder above it if it does not exist yet.
///
/// # Errors
/// Those of the file system.
pub fn disk_space(folder: &Path) -> io::Result<DiskSpace> {
    let folder = std::path::absolute(folder)?;
    let mut last = io::Error::from(io::ErrorKind::NotFound);
    for folder in folder.ancestors() {
        match statvfs(folder) {
            Ok(found) => {
                let blocks = |n: u64| n.saturating_mul(found.f_frsize);
                let free = blocks(found.f_bavail);
                let used = blocks(found.f_blocks.saturating_sub(found.f_bfree));
                return Ok(DiskSpace { free, size: used.saturating_add(free) });
            }
            Err(error) if error == rustix::io::Errno::NOENT => last = error.into(),
            Err(error) => return Err(error.into()),
        }
    }
    Err(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn machine(files: &[(&str, &str)]) -> Memory {
        let root = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        memory_below(root.path())
    }

    #[test]
    fn the_smallest_limit_on_the_way_to_the_root_holds() {
        let status = ("proc/self/status", "Name:\tbotops\nVmHWM:\t  900 kB\nVmRSS:\t  512 kB\n");
        let meminfo = ("proc/meminfo", "MemTotal:       1024 kB\nMemFree: 1 kB\n");
        let group = ("proc/self/cgroup", "0::/system.slice/botops.service\n");
        let top = ("sys/fs/cgroup/system.slice/memory.max", "300000\n");
        let own = ("sys/fs/cgroup/system.slice/botops.service/memory.max", "max\n");
        let resident = Some(512 << 10);
        let found = machine(&[status, meminfo, group, top, own]);
        assert_eq!(found, Memory { resident, limit: Some(300_000) });
        let found = machine(&[status, meminfo, group, own]);
        assert_eq!(found, Memory { resident, limit: Some(1 << 20) });
        // A container: its group is named from outside, and its limit is at the root.
        let at_root = ("sys/fs/cgroup/memory.max", "200000\n");
        assert_eq!(machine(&[status, meminfo, group, at_root]).limit, Some(200_000));
        let first = [
            ("proc/self/cgroup", "5:cpu,memory:/docker/ab\n3:pids:/docker/ab\n"),
            ("sys/fs/cgroup/memory/docker/ab/memory.limit_in_bytes", "100000\n"),
        ];
        assert_eq!(machine(&first), Memory { resident: None, limit: Some(100_000) });
        assert_eq!(machine(&[]), Memory { resident: None, limit: None });
    }

    #[test]
    fn the_memory_of_this_process_is_below_its_limit() {
        if !Path::new("/proc/self/status").is_file() {
            return;
        }
        let Memory { resident: Some(resident), limit: Some(limit) } = memory() else {
            panic!("{:?}", memory());
        };
        assert!((1 << 20..limit).contains(&resident), "{resident} of {limit}");
    }

    #[test]
    fn a_folder_that_is_missing_is_on_the_disk_of_the_folder_above() {
        let folder = tempfile::tempdir().unwrap();
        let found = disk_space(&folder.path().join("a/b")).unwrap();
        assert_eq!(found.size, disk_space(folder.path()).unwrap().size);
        assert!(found.free > 0 && found.free <= found.size);
        fs::write(folder.path().join("file"), "").unwrap();
        assert!(disk_space(&folder.path().join("file/below")).is_err(), "it is no folder");
    }
}
