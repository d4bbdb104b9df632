use std::time::Duration;

use openclaw_mock_gateway::{Edition, Locality, MockGateway, Pairing};
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::client::{Ask, Device, Got, accepted};

const A_WHILE: Duration = Duration::from_secs(10);

#[tokio::test]
async fn garbage_is_cut_off_and_the_gateway_lives_on() {
    let gateway = MockGateway::builder().pairing(Pairing::Auto).start().await;
    let mut socket = tokio::net::TcpStream::connect(gateway.url().replace("ws://", ""))
        .await
        .expect("open");
    let garbage = vec![0xa5; 1024 * 1024];
    let mut sent = 0;
    while sent < 64 && socket.write_all(&garbage).await.is_ok() {
        sent += 1;
    }
    drop(socket);
    let device = Device::new(50);
    accepted(&gateway, Locality::Remote, &Ask::new(&gateway, &device)).await;
}

#[tokio::test]
async fn half_open_sockets_do_not_keep_others_out() {
    let gateway = MockGateway::builder().pairing(Pairing::Auto).start().await;
    let mut half_open = Vec::new();
    for _ in 0..200 {
        let address = gateway.url().replace("ws://", "");
        half_open.push(tokio::net::TcpStream::connect(address).await.expect("open"));
    }
    let device = Device::new(51);
    accepted(&gateway, Locality::Remote, &Ask::new(&gateway, &device)).await;
}

#[tokio::test(start_paused = true)]
async fn a_slow_reader_is_closed_instead_of_filling_the_memory() {
    // What may wait is measured on both: 1.5 MiB, and 50 MiB.
    for (edition, most) in [
        (Edition::V2026_2_9, 1_572_864),
        (Edition::V2026_9_6, 52_428_800),
    ] {
        let builder = MockGateway::builder()
            .edition(edition)
            .pairing(Pairing::Auto);
        let gateway = builder.recording(false).build();
        let device = Device::new(52);
        let (mut client, _) =
            accepted(&gateway, Locality::Remote, &Ask::new(&gateway, &device)).await;
        let payload = json!({"text": "x".repeat(100_000)});
        for _ in 0..2 * most / 100_000 {
            gateway.emit("chat", &payload);
        }
        let mut bytes = 0;
        let end = loop {
            match client.next().await {
                Got::Frame(frame) => bytes += frame["payload"]["text"].as_str().map_or(0, str::len),
                end => break end,
            }
        };
        assert_eq!(end, Got::Closed(1008, "slow consumer".into()), "{edition}");
        assert!(
            bytes > most - 200_000 && bytes < most + 200_000,
            "{edition}: {bytes}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_does_not_come_back_is_dropped() {
    let builder = MockGateway::builder()
        .pairing(Pairing::Auto)
        .recording(false);
    let gateway = builder.max_buffered(1_000_000).build();
    let device = Device::new(53);
    let (client, _) = accepted(&gateway, Locality::Remote, &Ask::new(&gateway, &device)).await;
    for _ in 0..1_000 {
        gateway.emit("chat", &json!({"text": "x".repeat(10_000)}));
    }
    let gone = gateway
        .wait_for(|now| now.live == 0, Duration::from_secs(120))
        .await;
    gone.expect("closed");
    drop(client);
}

#[tokio::test]
async fn a_killed_gateway_says_nothing() {
    let gateway = MockGateway::start().await;
    let mut socket = tokio::net::TcpStream::connect(gateway.url().replace("ws://", ""))
        .await
        .expect("open");
    gateway
        .wait_for(|now| now.connects == 1, A_WHILE)
        .await
        .expect("accepted");
    gateway.kill();
    let mut rest = Vec::new();
    // Either end of file or a reset, but no bytes.
    let _ = socket.read_to_end(&mut rest).await;
    assert!(rest.is_empty());
}
