//! The network between the processes: a proxy at each front, which forwards what
//! is sent over a link while the link is well, and holds it while it is cut.
//!
//! **A cut** closes nothing and tells nobody, as a network does that loses
//! packets: what is sent is taken, up to what a socket's buffer would take, and
//! then the sender has to wait. An end of a connection is held as well, be it
//! orderly or by the death of a process: the other side does not hear of it.
//!
//! **Healing** lets flow what was held. TCP does the same: it sends what was lost
//! again for many minutes, and after a partition connections go on where they
//! stood, with words that are old by then (a leader of the past, a request whose
//! sender gave up). A system must bear that, and would not be asked to if healing
//! closed connections. Who wants them closed cuts by a reset.
//!
//! **New connections** hang while either way is cut, because neither would a
//! handshake come through; those whose client gave up before are forgotten, since
//! nothing of theirs was ever sent. In one thing this is not a network: the
//! client's own `connect` succeeds, at the proxy, and it is the first answer that
//! does not come.
//!
//! **A dead process** refuses connections, and so does its front: it listens only
//! while the process itself does.

use crate::faults::{Faults, Node};
use crate::plan::{Front, Plan};
use crate::supervisor::{Handle, Status};
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::net::{TcpListener, TcpSocket, TcpStream, lookup_host};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;

/// How much is read at once, and how many such pieces a direction holds: a
/// mebibyte, about what the buffers of two sockets take.
const PIECE: usize = 16 << 10;
const PIECES: usize = 64;

/// How often it is looked whether a process listens, after its start.
const BETWEEN: Duration = Duration::from_millis(20);

/// The proxies of a playground. Their connections break when it is dropped.
#[derive(Debug, Default)]
pub struct Network {
    faults: watch::Sender<Faults>,
    fronts: JoinSet<()>,
    /// How many of them listen.
    listening: watch::Sender<usize>,
}

impl Network {
    /// Where faults are made; at first there are none.
    #[must_use]
    pub fn faults(&self) -> watch::Sender<Faults> {
        self.faults.clone()
    }

    /// Resolves when all proxies listen, as they do a moment after their processes.
    pub fn listens(&self) -> impl Future<Output = ()> + use<> {
        let (mut listening, all) = (self.listening.subscribe(), self.fronts.len());
        async move {
            // An error means that the network is gone, and nobody waits for it.
            let _: Result<_, _> = listening.wait_for(|count| *count >= all).await;
        }
    }

    /// Puts proxies at the plan's fronts, before these processes.
    pub fn open(&mut self, plan: &Plan, handles: &[Handle]) {
        let sources: Arc<[Ipv4Addr]> = plan.sources.clone().into();
        for front in &plan.fronts {
            let server = handles.iter().find(|h| h.process.node == front.server);
            let proxy = Proxy {
                front: front.clone(),
                sources: Arc::clone(&sources),
                faults: self.faults.subscribe(),
                listening: self.listening.clone(),
            };
            self.fronts.spawn(proxy.stand(server.map(Handle::watch)));
        }
    }
}

/// What stands at a front.
#[derive(Clone, Debug)]
struct Proxy {
    front: Front,
    sources: Arc<[Ipv4Addr]>,
    faults: watch::Receiver<Faults>,
    listening: watch::Sender<usize>,
}

/// A front that listens, as long as it does.
struct Listening<'a>(&'a watch::Sender<usize>);

impl<'a> Listening<'a> {
    fn new(count: &'a watch::Sender<usize>) -> Self {
        count.send_modify(|count| *count += 1);
        Self(count)
    }
}

impl Drop for Listening<'_> {
    fn drop(&mut self) {
        self.0.send_modify(|count| *count -= 1);
    }
}

impl Proxy {
    /// Listens while its process does, or always for one that is not ours.
    async fn stand(self, server: Option<watch::Receiver<Status>>) {
        let mut connections = JoinSet::new();
        let Some(mut server) = server else {
            self.listen(&mut connections).await;
            return;
        };
        let mut last = None;
        loop {
            let started = server.wait_for(|status| status.pid.is_some() && status.pid != last);
            match started.await {
                Ok(status) => last = status.pid,
                Err(_) => return,
            }
            let serve = async {
                while TcpStream::connect(&self.front.to).await.is_err() {
                    tokio::time::sleep(BETWEEN).await;
                }
                self.listen(&mut connections).await;
            };
            tokio::select! {
                () = serve => {}
                ended = server.wait_for(|status| status.pid != last) => {
                    if ended.is_err() {
                        return;
                    }
                }
            }
        }
    }

    /// Takes connections, until this is dropped; they go on after that.
    async fn listen(&self, connections: &mut JoinSet<()>) {
        let listener = loop {
            match TcpListener::bind(self.front.at).await {
                Ok(listener) => break listener,
                Err(error) => {
                    tracing::error!("the proxy at {} cannot listen: {error}", self.front.at);
                    tokio::time::sleep(Duration::from_secs(1)).await;
                }
            }
        };
        let _listening = Listening::new(&self.listening);
        loop {
            tokio::select! {
                accepted = listener.accept() => match accepted {
                    Ok((client, from)) => {
                        connections.spawn(self.clone().connection(client, from));
                    }
                    // Such as too many open files: a moment later there may be fewer.
                    Err(error) => {
                        tracing::warn!("the proxy at {} cannot accept: {error}", self.front.at);
                        tokio::time::sleep(BETWEEN).await;
                    }
                },
                Some(_) = connections.join_next() => {}
            }
        }
    }

    /// One connection, to its end.
    async fn connection(self, mut client: TcpStream, from: SocketAddr) {
        let node = self.client(from.ip());
        if node.is_none() {
            tracing::warn!(
                "a connection to {} comes from {}, which is no process of the playground: no fault stops it",
                self.front.at,
                from.ip()
            );
        }
        let link = |from, to| Link {
            ends: node.map(|node| if from { (node, to) } else { (to, node) }),
            faults: self.faults.clone(),
        };
        let there = link(true, self.front.server);
        let back = link(false, self.front.server);
        let (mut either, mut server) = (there.clone(), None);
        // Connects as the client does, so that the server sees who it is.
        let source = node
            .filter(|_| self.front.client.is_none())
            .map(|_| from.ip());
        let ended = tokio::select! {
            ended = self.forward(&mut client, &mut server, source, there, back) => ended,
            () = either.is_reset() => Err(Broken),
        };
        if ended.is_err() {
            for stream in [Some(client), server].into_iter().flatten() {
                // One that cannot be set so is broken already.
                let _ = stream.set_zero_linger();
            }
        }
    }

    fn client(&self, from: IpAddr) -> Option<Node> {
        let by_source = || {
            self.sources
                .iter()
                .position(|source| *source == from)
                .map(Node)
        };
        self.front.client.or_else(by_source)
    }

    async fn forward(
        &self,
        client: &mut TcpStream,
        server: &mut Option<TcpStream>,
        source: Option<IpAddr>,
        mut there: Link,
        mut back: Link,
    ) -> Result<(), Broken> {
        let _ = client.set_nodelay(true);
        let (client_reads, client_writes) = client.split();
        let (hold, queue) = mpsc::channel(PIECES);
        let mut taken = pin!(take(client_reads, hold));
        let handshake = async {
            there.pass(Instant::now()).await;
            back.pass(Instant::now()).await;
        };
        tokio::select! {
            biased;
            () = handshake => {}
            () = &mut taken => return Ok(()),
        }
        let connected = self.connect(source).await.map_err(|_| Broken)?;
        let (server_reads, server_writes) = server.insert(connected).split();
        let going = async {
            let ((), given) = tokio::join!(taken, give(queue, server_writes, &mut there));
            given
        };
        let coming = async {
            let (hold, queue) = mpsc::channel(PIECES);
            let taken = take(server_reads, hold);
            let ((), given) = tokio::join!(taken, give(queue, client_writes, &mut back));
            given
        };
        tokio::try_join!(going, coming).map(drop)
    }

    async fn connect(&self, source: Option<IpAddr>) -> io::Result<TcpStream> {
        let stream = match source {
            None => TcpStream::connect(&self.front.to).await?,
            Some(source) => {
                let to = lookup_host(&self.front.to).await?.next();
                let socket = TcpSocket::new_v4()?;
                socket.bind((source, 0).into())?;
                socket.connect(to.ok_or(io::ErrorKind::NotFound)?).await?
            }
        };
        stream.set_nodelay(true)?;
        Ok(stream)
    }
}

/// The connection does not end in an orderly way.
#[derive(Clone, Copy, Debug)]
struct Broken;

/// A direction of a connection. One whose ends are not known is well.
#[derive(Clone, Debug)]
struct Link {
    ends: Option<(Node, Node)>,
    faults: watch::Receiver<Faults>,
}

impl Link {
    /// Waits until what was sent then may arrive.
    async fn pass(&mut self, sent: Instant) {
        let Some((from, to)) = self.ends else { return };
        loop {
            let well = self
                .faults
                .wait_for(|faults| faults.link(from, to).cut.is_none());
            let delay = well.await.map(|faults| faults.link(from, to).delay);
            let Ok(delay) = delay else {
                return std::future::pending::<()>().await;
            };
            if Instant::now() >= sent + delay {
                return;
            }
            // And then again: in the meantime it may be cut, or healed.
            tokio::select! {
                () = tokio::time::sleep_until(sent + delay) => {}
                _ = self.faults.changed() => {}
            }
        }
    }

    /// Resolves when this direction, or the other, is cut by a reset.
    async fn is_reset(&mut self) {
        if let Some((a, b)) = self.ends
            && self
                .faults
                .wait_for(|faults| faults.resets(a, b))
                .await
                .is_ok()
        {
            return;
        }
        std::future::pending::<()>().await;
    }
}

/// What was sent in a direction.
enum Sent {
    Bytes(Vec<u8>),
    End,
    Reset,
}

/// Takes all that is sent, as far as there is room to hold it.
async fn take(mut from: ReadHalf<'_>, hold: mpsc::Sender<(Instant, Sent)>) {
    let mut buffer = vec![0; PIECE];
    loop {
        let sent = match from.read(&mut buffer).await {
            Ok(0) => Sent::End,
            Ok(read) => Sent::Bytes(buffer[..read].to_vec()),
            Err(_) => Sent::Reset,
        };
        let is_last = !matches!(sent, Sent::Bytes(_));
        if hold.send((Instant::now(), sent)).await.is_err() || is_last {
            return;
        }
    }
}

/// Gives what is held to the other side, when the link lets it through.
async fn give(
    mut held: mpsc::Receiver<(Instant, Sent)>,
    mut to: WriteHalf<'_>,
    link: &mut Link,
) -> Result<(), Broken> {
    while let Some((at, sent)) = held.recv().await {
        link.pass(at).await;
        let given = match sent {
            Sent::Bytes(bytes) => to.write_all(&bytes).await,
            Sent::End => to.shutdown().await,
            Sent::Reset => return Err(Broken),
        };
        if given.is_err() {
            // The other side is gone; that is told by what comes from there,
            // when its own link lets it.
            break;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
