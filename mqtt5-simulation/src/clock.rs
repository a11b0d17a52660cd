//! Virtual time: it stands still until the world moves it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use mqtt5_client::proto::Instant;
use mqtt5_client::{Clock, Timer};

/// What no alarm is set to.
const NEVER: u64 = u64::MAX;

fn nanos(at: Instant) -> u64 {
    u64::try_from(at.since_start().as_nanos()).unwrap_or(NEVER)
}

/// The one clock of a world.
#[derive(Clone, Debug)]
pub(crate) struct VirtualClock(Arc<AtomicU64>);

impl VirtualClock {
    /// Starts off zero, so that "earlier" is possible.
    pub(crate) fn new() -> Self {
        Self(Arc::new(AtomicU64::new(1_000_000_000)))
    }

    pub(crate) fn set(&self, at: Instant) {
        self.0.store(nanos(at), Ordering::Relaxed);
    }
}

impl Clock for VirtualClock {
    fn now(&self) -> Instant {
        Instant::from_start(Duration::from_nanos(self.0.load(Ordering::Relaxed)))
    }
}

/// When a driver wants to be woken; the world looks at it.
#[derive(Clone, Debug)]
pub(crate) struct Alarm(Arc<AtomicU64>);

impl Alarm {
    pub(crate) fn at(&self) -> Option<Instant> {
        let at = self.0.load(Ordering::Relaxed);
        (at != NEVER).then(|| Instant::from_start(Duration::from_nanos(at)))
    }

    /// It has gone off: it does not again unless it is set again.
    pub(crate) fn clear(&self) {
        self.0.store(NEVER, Ordering::Relaxed);
    }
}

/// The timer of one driver. The alarm counts only once it was waited for, as with a real timer that
/// is told by its waker.
#[derive(Debug)]
pub(crate) struct VirtualTimer {
    clock: VirtualClock,
    at: Option<Instant>,
    alarm: Alarm,
}

impl VirtualTimer {
    pub(crate) fn new(clock: &VirtualClock) -> (Self, Alarm) {
        let alarm = Alarm(Arc::new(AtomicU64::new(NEVER)));
        let timer = Self {
            clock: clock.clone(),
            at: None,
            alarm: alarm.clone(),
        };
        (timer, alarm)
    }
}

impl Timer for VirtualTimer {
    type Clock = VirtualClock;

    fn clock(&self) -> VirtualClock {
        self.clock.clone()
    }

    fn reset(&mut self, at: Option<Instant>) {
        self.at = at;
        self.alarm.clear();
    }

    fn poll_expired(&mut self, _: &mut Context<'_>) -> Poll<()> {
        match self.at {
            Some(at) if at <= self.clock.now() => Poll::Ready(()),
            Some(at) => {
                self.alarm.0.store(nanos(at), Ordering::Relaxed);
                Poll::Pending
            }
            None => Poll::Pending,
        }
    }
}

/// Whether any task of a world was woken since it looked.
#[derive(Clone, Debug, Default)]
pub(crate) struct Bell(Arc<AtomicBool>);

impl Bell {
    pub(crate) fn take(&self) -> bool {
        self.0.swap(false, Ordering::Relaxed)
    }
}

/// One task's waker: a task that was not woken is not polled, so that a lost wake-up shows as a task
/// that never ends.
#[derive(Debug)]
pub(crate) struct Flag {
    woken: AtomicBool,
    bell: Bell,
}

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.woken.store(true, Ordering::Relaxed);
        self.bell.0.store(true, Ordering::Relaxed);
    }
}

/// A task's flag, and the waker that raises it.
#[derive(Debug)]
pub(crate) struct Task {
    flag: Arc<Flag>,
    waker: Waker,
}

impl Task {
    pub(crate) fn new(bell: &Bell) -> Self {
        let flag = Arc::new(Flag {
            woken: AtomicBool::new(false),
            bell: bell.clone(),
        });
        let waker = Waker::from(Arc::clone(&flag));
        Self { flag, waker }
    }

    pub(crate) fn take(&self) -> bool {
        self.flag.woken.swap(false, Ordering::Relaxed)
    }

    pub(crate) fn is_woken(&self) -> bool {
        self.flag.woken.load(Ordering::Relaxed)
    }

    pub(crate) fn wake(&self) {
        self.flag.wake_by_ref();
    }

    pub(crate) fn context(&self) -> Context<'_> {
        Context::from_waker(&self.waker)
    }
}
