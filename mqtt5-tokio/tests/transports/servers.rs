//! Servers that are not what they should be.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// Ended when dropped.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    task: JoinHandle<()>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Server {
    /// Runs `serve` for every connection, one after the other.
    pub(crate) async fn start<F>(mut serve: impl FnMut(TcpStream) -> F + Send + 'static) -> Self
    where
        F: Future<Output = ()> + Send,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let task = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                serve(stream).await;
            }
        });
        Self { address, task }
    }

    /// Takes what comes and never says a word.
    pub(crate) async fn silent() -> Self {
        Self::start(async |mut stream: TcpStream| {
            let mut buffer = [0; 1024];
            while matches!(stream.read(&mut buffer).await, Ok(1..)) {}
        })
        .await
    }

    /// Says `answer` once something has come, then goes on reading.
    pub(crate) async fn saying(answer: &'static [u8]) -> Self {
        Self::start(async move |mut stream: TcpStream| {
            let mut buffer = [0; 4096];
            if matches!(stream.read(&mut buffer).await, Ok(1..)) {
                stream.write_all(answer).await.unwrap();
            }
            while matches!(stream.read(&mut buffer).await, Ok(1..)) {}
        })
        .await
    }

    /// Closes as soon as something has come.
    pub(crate) async fn closing() -> Self {
        Self::start(async |mut stream: TcpStream| {
            let mut buffer = [0; 4096];
            let _ = stream.read(&mut buffer).await;
        })
        .await
    }

    pub(crate) fn url(&self, scheme: &str) -> String {
        format!("{scheme}://{}", self.address)
    }
}
