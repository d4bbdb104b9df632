//! Connecting to the first of several addresses that answers, as RFC 8305 describes it.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use tokio::time::sleep;

/// The time between the starts of two attempts (RFC 8305, section 5).
const STAGGER: Duration = Duration::from_millis(250);

/// Orders addresses by turns of their families, beginning with the family of the first.
fn interleave(addresses: &[SocketAddr]) -> Vec<SocketAddr> {
    let is_v6 = addresses.first().is_some_and(SocketAddr::is_ipv6);
    let (mut first, mut second): (Vec<_>, Vec<_>) = addresses
        .iter()
        .partition(|address| address.is_ipv6() == is_v6);
    first.reverse();
    second.reverse();
    let turns = std::iter::from_fn(|| {
        std::mem::swap(&mut first, &mut second);
        second.pop().or_else(|| first.pop())
    });
    turns.collect()
}

/// Dials the addresses, each 250 ms after the one before or as soon as an attempt fails; returns the
/// first success. The error names each address with its own outcome.
///
/// Dropping the future abandons all attempts.
pub(super) async fn race<T, F: Future<Output = io::Result<T>>>(
    addresses: &[SocketAddr],
    dial: impl Fn(SocketAddr) -> F,
) -> io::Result<T> {
    let mut attempts = FuturesUnordered::new();
    let mut failures: Vec<(SocketAddr, io::Error)> = Vec::new();
    for address in interleave(addresses) {
        let attempt = dial(address);
        attempts.push(async move { (address, attempt.await) });
        tokio::select! {
            biased;
            Some((address, result)) = attempts.next() => match result {
                Ok(stream) => return Ok(stream),
                Err(error) => failures.push((address, error)),
            },
            () = sleep(STAGGER) => {}
        }
    }
    while let Some((address, result)) = attempts.next().await {
        match result {
            Ok(stream) => return Ok(stream),
            Err(error) => failures.push((address, error)),
        }
    }
    Err(summary(failures))
}

fn summary(mut failures: Vec<(SocketAddr, io::Error)>) -> io::Error {
    let each: Vec<_> = failures
        .iter()
        .map(|(address, error)| format!("{address}: {error}"))
        .collect();
    match failures.pop() {
        Some((_, error)) if failures.is_empty() => error,
        Some((_, error)) => io::Error::new(error.kind(), each.join("; ")),
        None => io::Error::new(io::ErrorKind::NotFound, "the name has no address"),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use tokio::time::Instant;

    use super::*;

    fn addresses(list: &[&str]) -> Vec<SocketAddr> {
        list.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn families_take_turns_beginning_with_the_first() {
        let given = addresses(&["[::1]:1", "[::2]:1", "[::3]:1", "1.1.1.1:1", "1.1.1.2:1"]);
        let expected = addresses(&["[::1]:1", "1.1.1.1:1", "[::2]:1", "1.1.1.2:1", "[::3]:1"]);
        assert_eq!(interleave(&given), expected);
        assert_eq!(interleave(&[]), []);
    }

    #[tokio::test(start_paused = true)]
    async fn an_address_that_never_answers_costs_a_quarter_of_a_second() {
        let began = Instant::now();
        let given = addresses(&["[2001:db8:8::77]:1", "10.99.7.2:1"]);
        let won = race(&given, |address| async move {
            if address.is_ipv6() {
                std::future::pending::<()>().await;
            }
            Ok(address)
        });
        assert_eq!(won.await.unwrap(), given[1]);
        assert_eq!(began.elapsed(), STAGGER);
    }

    #[tokio::test(start_paused = true)]
    async fn a_refusal_starts_the_next_attempt_at_once_and_all_are_named() {
        let began = Instant::now();
        let given = addresses(&["[::1]:1", "[::2]:1", "1.1.1.1:1"]);
        let dialled = Mutex::new(Vec::new());
        let lost = race(&given, |address| {
            dialled.lock().unwrap().push(address);
            async { Err::<(), _>(io::Error::from(io::ErrorKind::ConnectionRefused)) }
        });
        let error = lost.await.unwrap_err();
        assert_eq!(began.elapsed(), Duration::ZERO);
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
        let said = error.to_string();
        assert!(
            given
                .iter()
                .all(|address| said.contains(&address.to_string())),
            "{said}"
        );
        assert_eq!(*dialled.lock().unwrap(), interleave(&given));
    }

    #[tokio::test(start_paused = true)]
    async fn an_early_attempt_that_is_slow_may_still_win() {
        let given = addresses(&["[::1]:1", "1.1.1.1:1"]);
        let won = race(&given, |address| async move {
            sleep(Duration::from_millis(if address.is_ipv6() {
                400
            } else {
                5_000
            }))
            .await;
            Ok(address)
        });
        assert_eq!(won.await.unwrap(), given[0]);
    }
}
