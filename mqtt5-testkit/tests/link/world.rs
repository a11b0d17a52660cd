//! A link between two sockets of the test.

use std::io::{ErrorKind, Read};
use std::os::fd::AsFd;
use std::time::Duration;

use mqtt5_testkit::Direction::{self, FromClient, ToClient};
use mqtt5_testkit::{FaultyLink, LinkPlan};
use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

pub(crate) const DEADLINE: Duration = Duration::from_secs(10);
pub(crate) const BOTH: [Direction; 2] = [FromClient, ToClient];
pub(crate) const BYTES: &[u8] = b"0123456789";

/// A link, and the server behind it.
pub(crate) struct World {
    pub(crate) link: FaultyLink,
    pub(crate) server: TcpListener,
}

impl World {
    pub(crate) async fn new() -> Self {
        let server = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let link = FaultyLink::to(server.local_addr().unwrap()).await.unwrap();
        Self { link, server }
    }

    /// A connection of this plan: its client's end, and its server's.
    pub(crate) async fn open(&self, plan: LinkPlan) -> (TcpStream, TcpStream) {
        self.link.script([plan]);
        let client = TcpStream::connect(self.link.address()).await.unwrap();
        let (server, _) = soon(self.server.accept()).await.unwrap();
        (client, server)
    }

    /// As [`open`](Self::open), but the sender of that direction first.
    pub(crate) async fn open_towards(
        &self,
        way: Direction,
        plan: LinkPlan,
    ) -> (TcpStream, TcpStream) {
        let (client, server) = self.open(plan).await;
        match way {
            FromClient => (client, server),
            ToClient => (server, client),
        }
    }

    pub(crate) async fn is_idle(&self) {
        self.link.wait_for(|seen| seen.open == 0).await.unwrap();
    }
}

pub(crate) async fn soon<T>(future: impl Future<Output = T>) -> T {
    timeout(DEADLINE, future).await.unwrap()
}

/// All that comes, and whether it ends in order; otherwise by a reset.
pub(crate) async fn all_of(stream: &mut TcpStream) -> (Vec<u8>, bool) {
    let mut bytes = Vec::new();
    match soon(stream.read_to_end(&mut bytes)).await {
        Ok(_) => (bytes, true),
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::ConnectionReset);
            (bytes, false)
        }
    }
}

pub(crate) async fn expect(stream: &mut TcpStream, expected: &[u8]) {
    let mut found = vec![0; expected.len()];
    soon(stream.read_exact(&mut found)).await.unwrap();
    assert_eq!(found, expected);
}

/// Asks the system and not the runtime, which may not know yet.
pub(crate) fn nothing_waits(stream: &TcpStream) {
    let same = stream.as_fd().try_clone_to_owned().unwrap();
    let error = std::net::TcpStream::from(same).read(&mut [0]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::WouldBlock);
}
