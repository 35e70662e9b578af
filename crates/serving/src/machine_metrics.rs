//! The gauges of the machine under a server: its memory, and the disks of its folders.

use crate::backup_metrics::{self, BackupMetrics};
use botops_monitoring::{disk_space, memory};
use botops_store::Store;
use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{family::Family, gauge::Gauge},
    registry::Registry,
};
use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{Arc, atomic::AtomicU64},
    time::Duration,
};
use tokio::{runtime::Handle, sync::watch, task::JoinHandle};

/// How often the machine is read.
const PAUSE: Duration = Duration::from_secs(10);
/// The longest time that a start waits for the first reading.
const FIRST: Duration = Duration::from_secs(1);

type FloatGauge = Gauge<f64, AtomicU64>;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct DiskLabels {
    disk: &'static str,
}

/// The gauges; a reading that the system does not offer is NaN, and a disk that cannot be read has none.
#[derive(Clone, Default)]
pub(super) struct MachineMetrics {
    resident: FloatGauge,
    limit: FloatGauge,
    free: Family<DiskLabels, FloatGauge>,
    size: Family<DiskLabels, FloatGauge>,
}

impl MachineMetrics {
    /// Makes the gauges, and registers them.
    pub(super) fn register(registry: &mut Registry) -> Self {
        let it = Self::default();
        registry.register(
            "process_resident_memory_bytes",
            "Resident memory of this process",
            it.resident.clone(),
        );
        registry.register(
            "memory_limit_bytes",
            "Memory that this process may use: the limit of its control group, or the memory of the machine",
            it.limit.clone(),
        );
        registry.register(
            "disk_free_bytes",
            "Bytes that this process may still write to the disk of a folder: store, predictions or conversations",
            it.free.clone(),
        );
        registry.register("disk_size_bytes", "Size of the disk of a folder", it.size.clone());
        it
    }

    /// Reads the machine. Blocks as long as the file systems take.
    fn read(&self, disks: &BTreeMap<&'static str, PathBuf>) {
        let memory = memory();
        let bytes = |reading: Option<u64>| reading.map_or(f64::NAN, |bytes| bytes as f64);
        self.resident.set(bytes(memory.resident));
        self.limit.set(bytes(memory.limit));
        for (&disk, folder) in disks {
            let labels = DiskLabels { disk };
            match disk_space(folder) {
                Ok(space) => {
                    self.free.get_or_create(&labels).set(space.free as f64);
                    self.size.get_or_create(&labels).set(space.size as f64);
                }
                Err(_) => {
                    self.free.remove(&labels);
                    self.size.remove(&labels);
                }
            }
        }
    }
}

/// Shows the machine, and the backups of the environment if the server has a store, until `stop`. Returns once the machine was
/// read, or did not answer for a second.
pub(super) async fn measure(
    (machine, backups): (&MachineMetrics, &BackupMetrics),
    disks: &BTreeMap<&'static str, PathBuf>,
    store: &Option<Store>,
    (threads, stop): (&Handle, &watch::Sender<bool>),
) -> Vec<JoinHandle<()>> {
    let disks = Arc::new(disks.clone());
    let _ = tokio::time::timeout(FIRST, read(machine, &disks)).await;
    let reading = run(machine.clone(), disks, stop.subscribe());
    let records = store
        .clone()
        .map(|store| threads.spawn(backup_metrics::run(backups.clone(), store, stop.subscribe())));
    [threads.spawn(reading)].into_iter().chain(records).collect()
}

/// Reads the machine once. A file system that hangs holds up a thread of its own.
async fn read(machine: &MachineMetrics, disks: &Arc<BTreeMap<&'static str, PathBuf>>) {
    let (machine, disks) = (machine.clone(), Arc::clone(disks));
    let _ = tokio::task::spawn_blocking(move || machine.read(&disks)).await;
}

/// Reads the machine from time to time, until `stopped`.
async fn run(
    machine: MachineMetrics,
    disks: Arc<BTreeMap<&'static str, PathBuf>>,
    mut stopped: watch::Receiver<bool>,
) {
    let reading = async {
        loop {
            tokio::time::sleep(PAUSE).await;
            read(&machine, &disks).await;
        }
    };
    tokio::select! {
        () = reading => {}
        _ = stopped.wait_for(|stopped| *stopped) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use prometheus_client::encoding::text::encode;

    #[test]
    fn a_disk_that_cannot_be_read_has_no_gauge() {
        let mut registry = Registry::with_prefix("botops");
        let metrics = MachineMetrics::register(&mut registry);
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        std::fs::write(&file, "").unwrap();
        let text = |disks: [(&'static str, PathBuf); 2]| {
            metrics.read(&disks.into());
            let mut text = String::new();
            encode(&mut text, &registry).unwrap();
            text
        };
        let both =
            text([("store", folder.path().to_owned()), ("predictions", folder.path().join("a"))]);
        for line in [
            "botops_disk_free_bytes{disk=\"store\"} ",
            "botops_disk_size_bytes{disk=\"predictions\"} ",
        ] {
            assert!(both.contains(line), "{line} is missing in\n{both}");
        }
        let one = text([("store", folder.path().to_owned()), ("predictions", file.join("a"))]);
        assert!(
            one.contains("{disk=\"store\"}") && !one.contains("{disk=\"predictions\"}"),
            "{one}"
        );
    }
}
