//! A way to etcd that can be cut.

use std::net::SocketAddr;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// What becomes of bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    /// They pass.
    Open,
    /// Connections are cut, new ones too.
    Cut,
    /// Connections stay, and nothing passes: a black hole.
    Hole,
}

/// Stands between a server and etcd, and ends with this value.
pub(crate) struct Proxy {
    address: SocketAddr,
    way: watch::Sender<Way>,
}

impl Proxy {
    pub(crate) async fn to(endpoint: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("bound");
        let (way, now) = watch::channel(Way::Open);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                if now.has_changed().is_err() {
                    return;
                }
                tokio::spawn(pass(stream, endpoint.clone(), now.clone()));
            }
        });
        Self { address, way }
    }

    pub(crate) fn endpoint(&self) -> String {
        self.address.to_string()
    }

    pub(crate) fn set(&self, way: Way) {
        self.way.send_replace(way);
    }
}

/// One connection, as long as the way is what it was when it came. What came through a hole never arrives.
async fn pass(mut stream: TcpStream, endpoint: String, mut now: watch::Receiver<Way>) {
    let way = *now.borrow_and_update();
    match way {
        Way::Cut => return,
        Way::Hole => {}
        Way::Open => {
            let Ok(mut etcd) = TcpStream::connect(endpoint).await else { return };
            tokio::select! {
                _ = copy_bidirectional(&mut stream, &mut etcd) => return,
                changed = now.changed() => if changed.is_err() || *now.borrow() == Way::Cut { return },
            }
        }
    }
    // Kept open and never read, whatever becomes of the way, until the test is over.
    while now.changed().await.is_ok() {
        if *now.borrow() == Way::Cut {
            return;
        }
    }
}
