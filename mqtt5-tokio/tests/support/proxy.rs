//! A link that can be cut: a TCP proxy in front of a broker.

use std::collections::VecDeque;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// A proxy on a free loopback port. Ends with all of its links when dropped.
pub(crate) struct Proxy {
    shared: Arc<Shared>,
    address: SocketAddr,
    task: JoinHandle<()>,
}

struct Shared {
    target: SocketAddr,
    /// Counts up when all links are to be cut.
    cuts: watch::Sender<u64>,
    accepting: AtomicBool,
    /// How many links there were, those that were closed at once included.
    accepted: AtomicUsize,
    to_broker: Limits,
    to_client: Limits,
    /// Bytes to the client are lost.
    mute: AtomicBool,
    /// How many bytes have gone to the broker.
    passed_to_broker: AtomicUsize,
    links: watch::Sender<usize>,
}

impl Proxy {
    pub(crate) async fn start(target: SocketAddr) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            target,
            cuts: watch::Sender::new(0),
            accepting: AtomicBool::new(true),
            accepted: AtomicUsize::new(0),
            to_broker: Limits::default(),
            to_client: Limits::default(),
            mute: AtomicBool::new(false),
            passed_to_broker: AtomicUsize::new(0),
            links: watch::Sender::new(0),
        });
        let task = tokio::spawn(accept(listener, Arc::clone(&shared)));
        Self {
            shared,
            address,
            task,
        }
    }

    pub(crate) fn url(&self) -> String {
        format!("mqtt://{}", self.address)
    }

    /// Cuts all links now; new ones are let through.
    pub(crate) fn cut(&self) {
        self.shared.cut();
    }

    /// Whether new links are let through; if not, each is closed at once.
    pub(crate) fn accept(&self, accept: bool) {
        self.shared.accepting.store(accept, Ordering::SeqCst);
    }

    /// Cuts the link once so many more bytes went to the broker, and then the next link after the
    /// next number of bytes, and so on.
    pub(crate) fn cut_after_bytes_to_broker(&self, counts: impl IntoIterator<Item = usize>) {
        self.shared.to_broker.set(counts);
    }

    /// As [`cut_after_bytes_to_broker`](Self::cut_after_bytes_to_broker), the other way.
    pub(crate) fn cut_after_bytes_to_client(&self, counts: impl IntoIterator<Item = usize>) {
        self.shared.to_client.set(counts);
    }

    /// How often somebody has connected, whether it was let through or not.
    pub(crate) fn attempts(&self) -> usize {
        self.shared.accepted.load(Ordering::SeqCst)
    }

    /// Whether what the broker says is lost on its way.
    pub(crate) fn mute(&self, mute: bool) {
        self.shared.mute.store(mute, Ordering::SeqCst);
    }

    /// How many bytes have gone to the broker in all.
    pub(crate) fn bytes_to_broker(&self) -> usize {
        self.shared.passed_to_broker.load(Ordering::SeqCst)
    }

    /// Waits until there are no links.
    pub(crate) async fn idle(&self) {
        let mut links = self.shared.links.subscribe();
        links.wait_for(|links| *links == 0).await.unwrap();
    }
}

/// How many bytes may pass in one direction before the link is cut, for this link and the next ones.
#[derive(Default)]
struct Limits(Mutex<VecDeque<usize>>);

impl Limits {
    fn set(&self, counts: impl IntoIterator<Item = usize>) {
        *self.0.lock().unwrap() = counts.into_iter().collect();
    }

    /// How many of `count` bytes may pass, and whether the link is cut then.
    fn pass(&self, count: usize) -> (usize, bool) {
        let mut limits = self.0.lock().unwrap();
        match limits.front_mut() {
            None => (count, false),
            Some(left) if count < *left => {
                *left -= count;
                (count, false)
            }
            Some(_) => (limits.pop_front().unwrap_or(count), true),
        }
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
        self.cut();
    }
}

impl Shared {
    fn cut(&self) {
        self.cuts.send_modify(|cuts| *cuts += 1);
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    while let Ok((client, _)) = listener.accept().await {
        shared.accepted.fetch_add(1, Ordering::SeqCst);
        if !shared.accepting.load(Ordering::SeqCst) {
            continue;
        }
        let shared = Arc::clone(&shared);
        // From here on, so that no cut is missed.
        let mut cuts = shared.cuts.subscribe();
        shared.links.send_modify(|links| *links += 1);
        tokio::spawn(async move {
            tokio::select! {
                () = link(client, &shared) => {}
                _ = cuts.changed() => {}
            }
            shared.links.send_modify(|links| *links -= 1);
        });
    }
}

async fn link(client: TcpStream, shared: &Shared) {
    // A broker that is down looks to the client like a link that is cut.
    let Ok(broker) = TcpStream::connect(shared.target).await else {
        return;
    };
    client.set_nodelay(true).unwrap();
    broker.set_nodelay(true).unwrap();
    let (from_client, to_client) = client.into_split();
    let (from_broker, to_broker) = broker.into_split();
    let up = pump(from_client, to_broker, |count| {
        shared.passed_to_broker.fetch_add(count, Ordering::SeqCst);
        shared.to_broker.pass(count)
    });
    let down = pump(from_broker, to_client, |count| {
        if shared.mute.load(Ordering::SeqCst) {
            return (0, false);
        }
        shared.to_client.pass(count)
    });
    // A direction that ends in order may leave the other one open, as TCP does; a used-up limit
    // ends both.
    tokio::pin!(up, down);
    let (first_end, other_is_down) = tokio::select! {
        end = &mut up => (end, true),
        end = &mut down => (end, false),
    };
    match (first_end, other_is_down) {
        (End::Cut, _) => {}
        (End::InOrder, true) => {
            down.await;
        }
        (End::InOrder, false) => {
            up.await;
        }
    }
}

/// How a direction of a link ended.
enum End {
    InOrder,
    Cut,
}

/// Copies until the end, an error, or a cut. Of so many bytes, `pass` tells how many may pass, and
/// whether the link is cut then.
async fn pump(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    pass: impl Fn(usize) -> (usize, bool),
) -> End {
    let mut buffer = vec![0; 16 << 10];
    loop {
        let Ok(count @ 1..) = from.read(&mut buffer).await else {
            let _ = to.shutdown().await;
            return End::InOrder;
        };
        let (passed, is_cut) = pass(count);
        if to.write_all(&buffer[..passed]).await.is_err() || is_cut {
            return End::Cut;
        }
    }
}
