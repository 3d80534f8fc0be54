//! One address in front of all instances, as a load balancer's is: so that clients and Connectly keep theirs while
//! processes come and go. It carries bytes and knows nothing of HTTP.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, RwLock};
use std::time::Duration;

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::AbortHandle;

/// How long an instance may take to take a connection.
const CONNECT_WITHIN: Duration = Duration::from_secs(1);

/// An instance's public and its admin listener.
pub type Listeners = (SocketAddr, SocketAddr);

pub struct Gate {
    address: SocketAddr,
    behind: Arc<Behind>,
    task: AbortHandle,
}

/// What stands behind a gate.
pub struct Behind {
    instances: RwLock<Vec<Option<Listeners>>>,
    turn: AtomicUsize,
}

impl Gate {
    /// Opens it with room for so many instances, none of them there yet.
    pub async fn open(instances: usize) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let behind =
            Arc::new(Behind { instances: RwLock::new(vec![None; instances]), turn: AtomicUsize::new(0) });
        let task = tokio::spawn(serve(listener, Arc::clone(&behind))).abort_handle();
        Self { address, behind, task }
    }

    pub fn webhook_url(&self) -> String {
        format!("http://{}/webhooks/connectly", self.address)
    }

    pub fn behind(&self) -> Arc<Behind> {
        Arc::clone(&self.behind)
    }

    /// Says where an instance is, or that it is gone.
    pub fn point(&self, instance: usize, to: Option<Listeners>) {
        self.behind.instances.write().unwrap()[instance] = to;
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Behind {
    /// An instance's public listener; they take turns.
    fn public(&self) -> Option<SocketAddr> {
        self.next().map(|(public, _)| public)
    }

    /// An instance's admin listener, in the same way.
    pub fn admin(&self) -> Option<SocketAddr> {
        self.next().map(|(_, admin)| admin)
    }

    fn next(&self) -> Option<Listeners> {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        let there: Vec<Listeners> = self.instances.read().unwrap().iter().flatten().copied().collect();
        (!there.is_empty()).then(|| there[turn % there.len()])
    }
}

async fn serve(listener: TcpListener, behind: Arc<Behind>) {
    loop {
        let Ok((mut client, _)) = listener.accept().await else { continue };
        let behind = Arc::clone(&behind);
        tokio::spawn(async move {
            let Some(address) = behind.public() else { return };
            let connecting = tokio::time::timeout(CONNECT_WITHIN, TcpStream::connect(address));
            let Ok(Ok(mut instance)) = connecting.await else { return };
            // Either side may be killed at any time.
            let _ = copy_bidirectional(&mut client, &mut instance).await;
        });
    }
}
