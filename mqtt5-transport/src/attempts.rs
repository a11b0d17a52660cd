//! Several addresses of one name, in the manner of RFC 8305 ("happy eyeballs").

use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use mqtt5_client::{Clock, Timer};

use crate::error::TransportError;

/// How long an attempt is waited for before the next one begins beside it (RFC 8305, section 5).
const HEAD_START: Duration = Duration::from_millis(250);

/// Opens one of `addresses`, by `open`, and returns what the first that succeeds has given.
///
/// The families of addresses take turns, beginning with that of the first address. The next attempt
/// begins when one has failed, or 250 ms after the last one began: a dead address costs no more than
/// that. Attempts that were not needed are dropped.
///
/// # Errors
/// If none succeeds: the error itself if there was one address, else
/// [`TransportError::Unreachable`], and [`TransportError::NoAddress`] with `host` if there is no
/// address at all.
///
/// Cancel safe: the attempts end with the future.
pub async fn first_to_open<S, F>(
    host: &str,
    addresses: impl IntoIterator<Item = SocketAddr>,
    timer: impl Timer,
    open: impl FnMut(SocketAddr) -> F,
) -> io::Result<S>
where
    F: Future<Output = io::Result<S>>,
{
    let waiting = in_turn(addresses);
    if waiting.is_empty() {
        let host = host.to_owned();
        return Err(TransportError::NoAddress { host }.into());
    }
    let mut attempts = Attempts {
        waiting,
        running: Vec::new(),
        failed: Vec::new(),
        timer,
        open,
    };
    poll_fn(|cx| attempts.poll(cx)).await
}

/// The addresses in the order in which they are tried.
fn in_turn(addresses: impl IntoIterator<Item = SocketAddr>) -> VecDeque<SocketAddr> {
    let mut addresses = addresses.into_iter().peekable();
    let first_is_v6 = addresses.peek().is_some_and(SocketAddr::is_ipv6);
    let (first, second): (Vec<_>, Vec<_>) =
        addresses.partition(|address| address.is_ipv6() == first_is_v6);
    let (mut first, mut second) = (first.into_iter(), second.into_iter());
    let mut order = VecDeque::new();
    loop {
        let pair = (first.next(), second.next());
        if pair == (None, None) {
            return order;
        }
        order.extend(pair.0);
        order.extend(pair.1);
    }
}

struct Attempts<T, O, F> {
    waiting: VecDeque<SocketAddr>,
    running: Vec<(SocketAddr, Pin<Box<F>>)>,
    failed: Vec<(SocketAddr, io::Error)>,
    timer: T,
    open: O,
}

impl<T, O, F, S> Attempts<T, O, F>
where
    T: Timer,
    O: FnMut(SocketAddr) -> F,
    F: Future<Output = io::Result<S>>,
{
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<S>> {
        loop {
            let failed_before = self.failed.len();
            if let Some(opened) = self.poll_running(cx) {
                return Poll::Ready(Ok(opened));
            }
            let failed = self.failed.len() > failed_before;
            let late = !self.running.is_empty() && self.timer.poll_expired(cx).is_ready();
            match self.waiting.pop_front() {
                Some(next) if failed || late || self.running.is_empty() => self.begin(next),
                Some(next) => {
                    self.waiting.push_front(next);
                    return Poll::Pending;
                }
                None if self.running.is_empty() => return Poll::Ready(Err(self.failure())),
                None => return Poll::Pending,
            }
        }
    }

    /// Polls the attempts that have begun; those that failed are put aside.
    fn poll_running(&mut self, cx: &mut Context<'_>) -> Option<S> {
        let mut index = 0;
        while let Some((address, attempt)) = self.running.get_mut(index) {
            match attempt.as_mut().poll(cx) {
                Poll::Ready(Ok(opened)) => return Some(opened),
                Poll::Ready(Err(error)) => {
                    self.failed.push((*address, error));
                    self.running.remove(index);
                }
                Poll::Pending => index += 1,
            }
        }
        None
    }

    fn begin(&mut self, address: SocketAddr) {
        self.running.push((address, Box::pin((self.open)(address))));
        let next = (!self.waiting.is_empty()).then(|| self.timer.clock().now() + HEAD_START);
        self.timer.reset(next);
    }

    fn failure(&mut self) -> io::Error {
        let mut failed = std::mem::take(&mut self.failed);
        match failed.pop() {
            Some((_, only)) if failed.is_empty() => only,
            last => {
                failed.extend(last);
                TransportError::Unreachable(failed).into()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::{Cell, RefCell};
    use std::rc::Rc;
    use std::task::Waker;

    use mqtt5_client::proto::Instant;

    use super::*;

    fn addresses(texts: &[&str]) -> Vec<SocketAddr> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn families_take_turns_beginning_with_that_of_the_first() {
        let given = addresses(&["[::1]:1", "[::2]:1", "[::3]:1", "1.1.1.1:1", "2.2.2.2:1"]);
        let expected = addresses(&["[::1]:1", "1.1.1.1:1", "[::2]:1", "2.2.2.2:1", "[::3]:1"]);
        assert_eq!(Vec::from(in_turn(given)), expected);
        let given = addresses(&["1.1.1.1:1", "[::1]:1"]);
        assert_eq!(Vec::from(in_turn(given.clone())), given);
    }

    /// A clock that only the test moves.
    #[derive(Clone, Default)]
    struct ByHand {
        now: std::sync::Arc<std::sync::atomic::AtomicU64>,
        alarm: Rc<Cell<Option<Instant>>>,
    }

    #[derive(Clone, Default)]
    struct HandClock(std::sync::Arc<std::sync::atomic::AtomicU64>);

    impl Clock for HandClock {
        fn now(&self) -> Instant {
            let millis = self.0.load(std::sync::atomic::Ordering::Relaxed);
            Instant::from_start(Duration::from_millis(millis))
        }
    }

    impl Timer for ByHand {
        type Clock = HandClock;

        fn clock(&self) -> HandClock {
            HandClock(self.now.clone())
        }

        fn reset(&mut self, at: Option<Instant>) {
            self.alarm.set(at);
        }

        fn poll_expired(&mut self, _: &mut Context<'_>) -> Poll<()> {
            match self.alarm.get() {
                Some(at) if at <= self.clock().now() => Poll::Ready(()),
                _ => Poll::Pending,
            }
        }
    }

    /// What becomes of an attempt: `None` hangs.
    type Fate = Option<Result<u16, io::ErrorKind>>;

    struct Race {
        timer: ByHand,
        begun: Rc<RefCell<Vec<SocketAddr>>>,
        result: Pin<Box<dyn Future<Output = io::Result<u16>>>>,
    }

    impl Race {
        fn new(fates: &[(&str, Fate)]) -> Self {
            let timer = ByHand::default();
            let begun = Rc::new(RefCell::new(Vec::new()));
            let fates: Vec<(SocketAddr, Fate)> = fates
                .iter()
                .map(|(address, fate)| (address.parse().unwrap(), *fate))
                .collect();
            let list: Vec<_> = fates.iter().map(|(address, _)| *address).collect();
            let (clock, log) = (timer.clone(), begun.clone());
            let result = Box::pin(async move {
                first_to_open("h", list, clock, |address| {
                    log.borrow_mut().push(address);
                    let fate = fates.iter().find(|(known, _)| *known == address).unwrap().1;
                    poll_fn(move |_| match fate {
                        Some(Ok(value)) => Poll::Ready(Ok(value)),
                        Some(Err(kind)) => Poll::Ready(Err(kind.into())),
                        None => Poll::Pending,
                    })
                })
                .await
            });
            Self {
                timer,
                begun,
                result,
            }
        }

        fn poll_at(&mut self, millis: u64) -> Poll<io::Result<u16>> {
            self.timer
                .now
                .store(millis, std::sync::atomic::Ordering::Relaxed);
            self.result
                .as_mut()
                .poll(&mut Context::from_waker(Waker::noop()))
        }
    }

    #[test]
    fn a_dead_address_costs_a_quarter_of_a_second() {
        let mut race = Race::new(&[("1.1.1.1:1", None), ("2.2.2.2:1", Some(Ok(2)))]);
        assert!(race.poll_at(0).is_pending());
        assert!(race.poll_at(249).is_pending());
        assert_eq!(race.begun.borrow().len(), 1);
        assert!(matches!(race.poll_at(250), Poll::Ready(Ok(2))));
    }

    #[test]
    fn a_refusal_costs_nothing() {
        let refused = Some(Err(io::ErrorKind::ConnectionRefused));
        let mut race = Race::new(&[
            ("1.1.1.1:1", refused),
            ("2.2.2.2:1", refused),
            ("3.3.3.3:1", Some(Ok(3))),
        ]);
        assert!(matches!(race.poll_at(0), Poll::Ready(Ok(3))));
    }

    #[test]
    fn every_address_is_named_when_none_answers() {
        let refused = Some(Err(io::ErrorKind::ConnectionRefused));
        let mut race = Race::new(&[("1.1.1.1:1", refused), ("[::1]:2", refused)]);
        let Poll::Ready(Err(error)) = race.poll_at(0) else {
            panic!("it waits for nothing");
        };
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
        let text = error.to_string();
        assert!(
            text.contains("1.1.1.1:1") && text.contains("[::1]:2"),
            "{text}"
        );
    }

    #[test]
    fn the_error_of_an_only_address_is_given_as_it_is() {
        let refused = Some(Err(io::ErrorKind::ConnectionRefused));
        let Poll::Ready(Err(error)) = Race::new(&[("1.1.1.1:1", refused)]).poll_at(0) else {
            panic!("it waits for nothing");
        };
        assert!(error.get_ref().is_none(), "{error:?}");
        let Poll::Ready(Err(error)) = Race::new(&[]).poll_at(0) else {
            panic!("it waits for nothing");
        };
        assert_eq!(error.to_string(), "the name h has no address");
    }
}
