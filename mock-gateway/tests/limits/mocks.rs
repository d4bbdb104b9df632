//! What mocks leave behind.

use std::time::{Duration, Instant};

use openclaw_mock_gateway::Edition;
use tokio::net::TcpStream;

use super::{
    A_WHILE, HARNESS_THREADS, MIB, alone, mock, open_files, resident, runtime, size, threads,
    upgraded,
};

#[test]
fn many_mocks_leave_no_task_thread_memory_or_port_behind() {
    let _alone = alone();
    let mocks = size("MOCKS", 100, 1_000);
    let runtime = runtime();
    let metrics = runtime.metrics();
    runtime.block_on(async {
        let (tasks, files) = (metrics.num_alive_tasks(), open_files());
        let limit = threads() + HARNESS_THREADS;
        let mut addresses = Vec::new();
        let mut starts = Vec::new();
        let memory = resident();
        for _ in 0..mocks {
            let begin = Instant::now();
            let gateway = mock(Edition::V2026_9_6).await;
            starts.push(begin.elapsed());
            drop(upgraded(&gateway).await);
            addresses
                .extend([gateway.url(), gateway.local_url()].map(|url| url.replace("ws://", "")));
        }
        let gone =
            || metrics.num_alive_tasks() <= tasks && threads() <= limit && open_files() <= files;
        let end = Instant::now() + A_WHILE;
        while !gone() && Instant::now() < end {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        assert!(metrics.num_alive_tasks() <= tasks, "tasks are left");
        assert!(threads() <= limit, "threads are left");
        assert!(
            open_files() <= files,
            "{} files, {files} before",
            open_files()
        );
        for address in &addresses {
            assert!(
                TcpStream::connect(address).await.is_err(),
                "{address} still listens"
            );
        }
        starts.sort();
        let median = starts[starts.len() / 2];
        let more = resident().saturating_sub(memory);
        println!(
            "a start takes {median:?} in the median; {mocks} mocks left {} KiB",
            more / 1024
        );
        assert!(
            median < Duration::from_millis(5),
            "a start takes {median:?}"
        );
        assert!(more < 32 * MIB, "{more} bytes are left");
    });
}
