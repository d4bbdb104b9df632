use std::time::{Duration, Instant};

use openclaw_mock_gateway::{Locality, MockGateway, Pairing};
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::client::{Ask, Device, accepted};

const A_WHILE: Duration = Duration::from_secs(10);

#[tokio::test]
async fn a_start_takes_a_few_milliseconds() {
    drop(MockGateway::start().await);
    let mut best = Duration::MAX;
    for _ in 0..20 {
        let begin = Instant::now();
        drop(MockGateway::start().await);
        best = best.min(begin.elapsed());
    }
    assert!(best < Duration::from_millis(5), "{best:?}");
}

#[tokio::test]
async fn a_thousand_mocks_leave_no_task_behind() {
    let metrics = tokio::runtime::Handle::current().metrics();
    let before = metrics.num_alive_tasks();
    for _ in 0..1_000 {
        let gateway = MockGateway::start().await;
        let socket = tokio::net::TcpStream::connect(gateway.url().replace("ws://", "")).await;
        socket.expect("listening");
    }
    let end = Instant::now() + A_WHILE;
    while metrics.num_alive_tasks() > before && Instant::now() < end {
        tokio::task::yield_now().await;
    }
    assert_eq!(metrics.num_alive_tasks(), before);
}

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
    let builder = MockGateway::builder()
        .pairing(Pairing::Auto)
        .recording(false);
    let gateway = builder.max_buffered(1_000_000).build();
    let device = Device::new(52);
    let (client, _) = accepted(&gateway, Locality::Remote, &Ask::new(&gateway, &device)).await;
    let payload = json!({"text": "x".repeat(10_000)});
    for _ in 0..1_000 {
        gateway.emit("chat", &payload);
    }
    gateway
        .wait_for(|now| now.live == 0, Duration::from_secs(120))
        .await
        .expect("closed");
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
