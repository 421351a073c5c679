use super::*;
use crate::faults::{Cut, links_of};
use crate::ports::{Claim, claim};
use std::future::Future;

/// Addresses that no playground has.
const SOURCES: [Ipv4Addr; 3] = [
    Ipv4Addr::new(127, 18, 1, 1),
    Ipv4Addr::new(127, 18, 1, 2),
    Ipv4Addr::new(127, 18, 1, 3),
];
const SERVER: Node = Node(0);
const A: Node = Node(1);
const B: Node = Node(2);

/// Far longer than anything takes that happens at all.
const PATIENCE: Duration = Duration::from_mins(1);
/// Far longer than a byte takes over a link that is well.
const WHILE: Duration = Duration::from_millis(200);

async fn soon<T>(what: &str, happens: impl Future<Output = T>) -> T {
    let happened = tokio::time::timeout(PATIENCE, happens).await;
    happened.unwrap_or_else(|_| panic!("waited in vain for {what}"))
}

/// What the supervisor says of a process with this id.
fn status(pid: Option<u32>) -> Status {
    Status {
        state: crate::supervisor::State::Starting,
        pid,
        starts: 1,
        deaths: 0,
        last_words: String::new(),
    }
}

/// A server behind a proxy, both held by the test.
struct Site {
    server: TcpListener,
    front: SocketAddr,
    faults: watch::Sender<Faults>,
    network: Network,
    _claim: Claim,
}

/// A connection: the client's end and the server's.
struct Pair {
    client: TcpStream,
    server: TcpStream,
}

impl Site {
    async fn new() -> Self {
        Self::with(None).await
    }

    /// One whose clients are known by their source, or are all the same one.
    async fn with(client: Option<Node>) -> Self {
        let claim = claim(&SOURCES).unwrap();
        let address = |port: u16| SocketAddr::from((SOURCES[0], claim.base() + port));
        let server = TcpListener::bind(address(1)).await.unwrap();
        let front = Front {
            at: address(0),
            to: address(1).to_string(),
            server: SERVER,
            client,
        };
        let mut network = Network::default();
        let faults = network.faults();
        let proxy = Proxy {
            listening: watch::Sender::default(),
            front: front.clone(),
            sources: SOURCES.into(),
            faults: faults.subscribe(),
        };
        network.fronts.spawn(proxy.stand(None));
        Self {
            server,
            front: front.at,
            faults,
            network,
            _claim: claim,
        }
    }

    async fn client(&self, node: Node) -> TcpStream {
        let connect = async {
            loop {
                let socket = TcpSocket::new_v4().unwrap();
                socket.bind((SOURCES[node.0], 0).into()).unwrap();
                // Until the proxy stands.
                match socket.connect(self.front).await {
                    Ok(stream) => return stream,
                    Err(_) => tokio::time::sleep(Duration::from_millis(5)).await,
                }
            }
        };
        soon("the proxy", connect).await
    }

    async fn accept(&self) -> (TcpStream, SocketAddr) {
        soon("a connection", self.server.accept()).await.unwrap()
    }

    async fn pair(&self, node: Node) -> Pair {
        let client = self.client(node).await;
        let (server, _) = self.accept().await;
        Pair { client, server }
    }

    fn cut(&self, from: Node, to: Node, cut: Cut) {
        self.faults
            .send_modify(|f| f.cut(&[(from, to)].into(), cut));
    }

    fn delay(&self, from: Node, to: Node, delay: Duration) {
        self.faults
            .send_modify(|f| f.delay(&[(from, to)].into(), delay));
    }

    fn heal(&self) {
        self.faults.send_modify(|faults| faults.heal(None));
    }
}

async fn say(stream: &mut TcpStream, text: &str) {
    stream.write_all(text.as_bytes()).await.unwrap();
}

async fn hears(stream: &mut TcpStream, text: &str) {
    let mut heard = vec![0; text.len()];
    soon(text, stream.read_exact(&mut heard)).await.unwrap();
    assert_eq!(String::from_utf8_lossy(&heard), text);
}

async fn hears_the_end(stream: &mut TcpStream) {
    let mut rest = Vec::new();
    soon("the end", stream.read_to_end(&mut rest))
        .await
        .unwrap();
    assert!(rest.is_empty(), "{rest:?}");
}

async fn hears_nothing(stream: &mut TcpStream) {
    let mut byte = [0];
    let heard = tokio::time::timeout(WHILE, stream.read(&mut byte)).await;
    assert!(heard.is_err(), "heard {heard:?} over a link that is cut");
}

async fn is_reset(stream: &mut TcpStream) {
    let mut byte = [0];
    let error = soon("a reset", stream.read(&mut byte)).await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
}

#[tokio::test]
async fn what_is_sent_and_its_end_come_through_both_ways() {
    let site = Site::new().await;
    let mut pair = site.pair(A).await;
    say(&mut pair.client, "a question").await;
    hears(&mut pair.server, "a question").await;
    pair.client.shutdown().await.unwrap();
    hears_the_end(&mut pair.server).await;
    // The other way is still open.
    say(&mut pair.server, "the answer").await;
    drop(pair.server);
    hears(&mut pair.client, "the answer").await;
    hears_the_end(&mut pair.client).await;
}

#[tokio::test]
async fn more_than_is_held_comes_through_unchanged() {
    let site = Site::new().await;
    let Pair { client, mut server } = site.pair(A).await;
    let (mut reads, mut writes) = client.into_split();
    let echo = tokio::spawn(async move {
        let (mut reads, mut writes) = server.split();
        tokio::io::copy(&mut reads, &mut writes).await.unwrap();
        writes.shutdown().await.unwrap();
    });
    let sent: Vec<u8> = (0..5_000_000_u32).map(|i| (i % 251) as u8).collect();
    let expected = sent.clone();
    let asking = tokio::spawn(async move {
        writes.write_all(&sent).await.unwrap();
        writes.shutdown().await.unwrap();
    });
    let mut came = Vec::new();
    soon("the echo", reads.read_to_end(&mut came))
        .await
        .unwrap();
    assert!(came == expected, "{} bytes came, or others", came.len());
    asking.await.unwrap();
    echo.await.unwrap();
}

#[tokio::test]
async fn a_server_sees_the_address_of_its_client() {
    let site = Site::new().await;
    let _client = site.client(B).await;
    let (_, from) = site.accept().await;
    assert_eq!(from.ip(), IpAddr::V4(SOURCES[B.0]));
}

#[tokio::test]
async fn a_cut_holds_what_is_sent_that_way_and_lets_the_other_way_through() {
    let site = Site::new().await;
    let mut pair = site.pair(A).await;
    for (from, to) in [(A, SERVER), (SERVER, A)] {
        site.cut(from, to, Cut::Lost);
        let (sender, receiver) = if from == A {
            (&mut pair.client, &mut pair.server)
        } else {
            (&mut pair.server, &mut pair.client)
        };
        say(sender, "held").await;
        hears_nothing(receiver).await;
        say(receiver, "through").await;
        hears(sender, "through").await;
        site.heal();
        hears(receiver, "held").await;
    }
}

#[tokio::test]
async fn a_cut_of_one_client_is_none_of_another() {
    let site = Site::new().await;
    let (mut a, mut b) = (site.pair(A).await, site.pair(B).await);
    let links = links_of(A, &[], &[], 3);
    site.faults.send_modify(|f| f.cut(&links, Cut::Lost));
    say(&mut a.client, "from a").await;
    for _ in 0..3 {
        say(&mut b.client, "from b").await;
        hears(&mut b.server, "from b").await;
        say(&mut b.server, "to b").await;
        hears(&mut b.client, "to b").await;
    }
    hears_nothing(&mut a.server).await;
    // Healing another changes nothing either.
    site.faults.send_modify(|f| f.heal(Some(B)));
    hears_nothing(&mut a.server).await;
    site.faults.send_modify(|f| f.heal(Some(A)));
    hears(&mut a.server, "from a").await;
}

#[tokio::test]
async fn the_end_of_a_client_is_not_told_over_a_cut() {
    let site = Site::new().await;
    let mut orderly = site.pair(A).await;
    let mut killed = site.pair(A).await;
    site.cut(A, SERVER, Cut::Lost);
    say(&mut orderly.client, "last words").await;
    drop(orderly.client);
    killed.client.set_zero_linger().unwrap();
    drop(killed.client);
    hears_nothing(&mut orderly.server).await;
    hears_nothing(&mut killed.server).await;
    site.heal();
    hears(&mut orderly.server, "last words").await;
    hears_the_end(&mut orderly.server).await;
    is_reset(&mut killed.server).await;
}

#[tokio::test]
async fn who_sends_much_over_a_cut_has_to_wait() {
    let site = Site::new().await;
    let mut pair = site.pair(A).await;
    site.cut(A, SERVER, Cut::Lost);
    // More than is held, and than the buffers of both sockets take.
    let much = vec![7; 64 << 20];
    let mut sending = pin!(pair.client.write_all(&much));
    let sent = tokio::time::timeout(WHILE, &mut sending).await;
    assert!(sent.is_err(), "it is all taken");
    site.heal();
    let mut came = vec![0; much.len()];
    let (sent, came_all) = soon("much", async {
        tokio::join!(sending, pair.server.read_exact(&mut came))
    })
    .await;
    sent.unwrap();
    came_all.unwrap();
    assert!(came == much);
}

#[tokio::test]
async fn a_new_connection_hangs_while_either_way_is_cut() {
    for (from, to) in [(A, SERVER), (SERVER, A)] {
        let site = Site::new().await;
        site.cut(from, to, Cut::Lost);
        let mut client = site.client(A).await;
        say(&mut client, "hello").await;
        let accepted = tokio::time::timeout(WHILE, site.server.accept()).await;
        assert!(accepted.is_err(), "a handshake needs both ways");
        site.heal();
        let (mut server, _) = site.accept().await;
        hears(&mut server, "hello").await;
        say(&mut server, "welcome").await;
        hears(&mut client, "welcome").await;
    }
}

#[tokio::test]
async fn a_client_that_gave_up_before_it_was_connected_is_forgotten() {
    let site = Site::new().await;
    site.cut(A, SERVER, Cut::Lost);
    let mut gives_up = site.client(A).await;
    say(&mut gives_up, "too late").await;
    gives_up.shutdown().await.unwrap();
    // The proxy lets it go, while the link is still cut.
    hears_the_end(&mut gives_up).await;
    let mut stays = site.client(A).await;
    say(&mut stays, "still here").await;
    site.heal();
    let (mut server, _) = site.accept().await;
    hears(&mut server, "still here").await;
}

#[tokio::test]
async fn a_reset_breaks_what_is_connected_and_refuses_what_is_new() {
    let site = Site::new().await;
    let (mut a, mut b) = (site.pair(A).await, site.pair(B).await);
    site.cut(A, SERVER, Cut::Reset);
    is_reset(&mut a.client).await;
    is_reset(&mut a.server).await;
    let mut new = site.client(A).await;
    is_reset(&mut new).await;
    say(&mut b.client, "not concerned").await;
    hears(&mut b.server, "not concerned").await;
    site.heal();
    let mut again = site.pair(A).await;
    say(&mut again.client, "again").await;
    hears(&mut again.server, "again").await;
}

#[tokio::test]
async fn a_delay_makes_a_way_late_and_keeps_the_order() {
    let site = Site::new().await;
    let mut pair = site.pair(A).await;
    let delay = Duration::from_millis(300);
    site.delay(A, SERVER, delay);
    let begun = Instant::now();
    say(&mut pair.client, "one ").await;
    say(&mut pair.client, "two").await;
    hears(&mut pair.server, "one two").await;
    assert!(begun.elapsed() >= delay, "{:?}", begun.elapsed());
}

#[tokio::test]
async fn a_delay_is_of_one_way_and_ends_with_healing() {
    let site = Site::new().await;
    let mut pair = site.pair(A).await;
    site.delay(A, SERVER, 60 * PATIENCE);
    say(&mut pair.client, "late").await;
    say(&mut pair.server, "early").await;
    hears(&mut pair.client, "early").await;
    hears_nothing(&mut pair.server).await;
    site.heal();
    hears(&mut pair.server, "late").await;
}

#[tokio::test]
async fn a_front_of_one_client_knows_it_whatever_its_address() {
    let site = Site::with(Some(A)).await;
    let mut pair = site.pair(B).await;
    site.cut(A, SERVER, Cut::Lost);
    say(&mut pair.client, "held").await;
    hears_nothing(&mut pair.server).await;
}

#[tokio::test]
async fn a_front_refuses_while_its_process_does_not_listen() {
    let claim = claim(&SOURCES).unwrap();
    let address = |port: u16| SocketAddr::from((SOURCES[0], claim.base() + port));
    let front = Front {
        at: address(0),
        to: address(1).to_string(),
        server: SERVER,
        client: Some(A),
    };
    let (process, seen) = watch::channel(status(None));
    let proxy = Proxy {
        listening: watch::Sender::default(),
        front,
        sources: SOURCES.into(),
        faults: watch::Sender::default().subscribe(),
    };
    let mut standing = JoinSet::new();
    standing.spawn(proxy.stand(Some(seen)));
    let refuses = async || {
        while TcpStream::connect(address(0)).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let connects = async || {
        loop {
            match TcpStream::connect(address(0)).await {
                Ok(stream) => return stream,
                Err(_) => tokio::time::sleep(Duration::from_millis(5)).await,
            }
        }
    };

    let mut open = Vec::new();
    for pid in [7, 8] {
        soon("a refusal", refuses()).await;
        // Started, it does not listen at once.
        process.send_replace(status(Some(pid)));
        let early = tokio::time::timeout(WHILE, connects()).await;
        assert!(early.is_err(), "there is nobody to connect to");
        let server = TcpListener::bind(address(1)).await.unwrap();
        let mut client = soon("a connection", connects()).await;
        say(&mut client, "hello").await;
        let mut accepted = loop {
            let (mut stream, _) = soon("a connection", server.accept()).await.unwrap();
            // The proxy has looked whether somebody listens.
            let mut first = [0; 5];
            if soon("a word", stream.read_exact(&mut first)).await.is_ok() {
                assert_eq!(&first, b"hello");
                break stream;
            }
        };
        say(&mut accepted, "welcome").await;
        hears(&mut client, "welcome").await;
        open.push((client, accepted));
        process.send_replace(status(None));
    }
    soon("a refusal", refuses()).await;
    // What is connected ends when the process itself ends it, not before.
    for (client, server) in &mut open {
        say(server, "still").await;
        hears(client, "still").await;
    }
}

#[tokio::test]
async fn connections_break_with_the_network() {
    let site = Site::new().await;
    let mut pair = site.pair(A).await;
    drop(site.network);
    hears_the_end(&mut pair.client).await;
    hears_the_end(&mut pair.server).await;
}
