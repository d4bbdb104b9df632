//! What is no request is read and thrown away.

use std::time::Duration;

use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use super::{EDITIONS, MIB, address, alone, mock, resident, runtime, size, upgraded};

/// One kind of garbage: whether it comes after an upgrade, how it begins, and what follows for ever.
type Garbage = (&'static str, bool, Vec<u8>, Vec<u8>);

/// A frame of a client, masked with zeros.
fn frame(first: u8, payload: usize) -> Vec<u8> {
    let length = u16::try_from(payload).unwrap().to_be_bytes();
    [&[first, 0xfe][..], &length, &[0; 4], &vec![0; payload]].concat()
}

fn garbage() -> [Garbage; 4] {
    let endless = vec![0x81, 0xff, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0];
    let ping = [&[0x89, 0xfd, 0, 0, 0, 0][..], &[0; 125]].concat();
    [
        ("no HTTP", false, Vec::new(), vec![0xa5; MIB]),
        ("a frame of 4 GiB", true, endless, vec![0; MIB]),
        (
            "fragments without an end",
            true,
            frame(0x01, 60_000),
            frame(0x00, 60_000),
        ),
        (
            "pings, and nobody who reads the answers",
            true,
            Vec::new(),
            ping.repeat(8_000),
        ),
    ]
}

/// Writes up to `bytes`, or until the mock takes no more; the most memory in between, above `before`.
async fn pour(
    socket: &mut TcpStream,
    garbage: &Garbage,
    bytes: usize,
    before: usize,
) -> (usize, usize) {
    let (_, _, head, chunk) = garbage;
    let (mut sent, mut most) = (0, 0);
    if socket.write_all(head).await.is_err() {
        return (0, 0);
    }
    while sent < bytes {
        let written = tokio::time::timeout(Duration::from_secs(1), socket.write_all(chunk)).await;
        most = most.max(resident().saturating_sub(before));
        if !matches!(written, Ok(Ok(()))) {
            break;
        }
        sent += chunk.len();
    }
    (sent, most)
}

#[test]
fn garbage_without_an_end_is_not_kept() {
    let _alone = alone();
    // Of each of the three kinds that the mock reads and throws away: more than 1 GiB together.
    let each = size("GARBAGE_MIB", 32, 350) * MIB;
    for edition in EDITIONS {
        runtime().block_on(async {
            let gateway = mock(edition).await;
            drop(upgraded(&gateway).await);
            for garbage in &garbage() {
                let (name, after_upgrade, ..) = garbage;
                let before = resident();
                let mut socket = if *after_upgrade {
                    upgraded(&gateway).await
                } else {
                    TcpStream::connect(address(&gateway)).await.unwrap()
                };
                let (sent, most) = pour(&mut socket, garbage, each, before).await;
                println!(
                    "{edition}: {name}: {} MiB sent, {} KiB more at most",
                    sent / MIB,
                    most / 1024
                );
                assert!(most < 16 * MIB, "{edition}: {name}: {most} bytes more");
                if !name.starts_with("pings") {
                    assert!(
                        sent >= each,
                        "{edition}: {name}: cut off after {sent} bytes"
                    );
                }
                // Still there for others.
                drop(upgraded(&gateway).await);
            }
        });
    }
}
