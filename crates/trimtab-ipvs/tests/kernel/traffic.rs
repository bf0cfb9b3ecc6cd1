//! What the kernel counts.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::thread;
use std::time::{Duration, Instant};

use trimtab_core::{Frontend, Protocol, Scheduler, VirtualServer};
use trimtab_ipvs::{Batch, Client, Stats};

use crate::namespace::{apply, client, ip, isolated, masqueraded, run, tcp};

/// The five counters that ipvsadm prints, of the line that has `word`.
fn printed(word: &str) -> [u64; 5] {
    let shown = run("ipvsadm -Ln --stats --exact");
    let line = shown.lines().find(|line| line.contains(word)).unwrap();
    let numbers: Vec<u64> =
        line.split_whitespace().skip(2).map(|number| number.parse().unwrap()).collect();
    numbers.try_into().unwrap()
}

/// How often the kernel sums up what its processors counted (`IPVS_EST_TICK` and its like,
/// net/netfilter/ipvs/ip_vs_est.c), which is every 2 s, and as much again for a busy machine.
const RENEWAL: Duration = Duration::from_secs(4);

fn wait_until_counted(is_counted: impl Fn() -> bool) {
    // Newer kernels begin some seconds after the first virtual server.
    let patience = Instant::now() + Duration::from_secs(60);
    while !is_counted() {
        assert!(Instant::now() < patience, "the kernel does not count");
        thread::sleep(Duration::from_millis(100));
    }
}

fn read(stats: &Stats) -> [u64; 5] {
    assert!(stats.wide);
    [stats.connections, stats.packets_in, stats.packets_out, stats.bytes_in, stats.bytes_out]
}

fn dns() -> Frontend {
    Frontend::new(Protocol::Udp, ip("127.1.0.1"), 53)
}

/// A TCP and a UDP virtual server on this host, with a real server each.
fn fill(client: &mut Client) {
    let mut batch = Batch::new();
    for frontend in [tcp("127.1.0.1", 80), dns()] {
        batch.add_virtual_server(&VirtualServer::new(frontend, Scheduler::RoundRobin));
        batch.add_real_server(&frontend, &masqueraded("127.2.0.1", 8080));
    }
    apply(client, &mut batch);
}

/// Three datagrams from as many clients, and a connection with an answer, which is returned.
fn send() -> (TcpStream, TcpStream) {
    let server = UdpSocket::bind("127.2.0.1:8080").unwrap();
    for _ in 0..3 {
        let client = UdpSocket::bind("127.0.0.1:0").unwrap();
        client.send_to(b"hello", "127.1.0.1:53").unwrap();
        let mut buffer = [0; 16];
        assert_eq!(server.recv_from(&mut buffer).unwrap().0, 5);
    }
    let listener = TcpListener::bind("127.2.0.1:8080").unwrap();
    let mut client = TcpStream::connect("127.1.0.1:80").unwrap();
    let (mut server, _) = listener.accept().unwrap();
    let mut buffer = [0; 5];
    client.write_all(b"hello").unwrap();
    server.read_exact(&mut buffer).unwrap();
    server.write_all(b"world").unwrap();
    client.read_exact(&mut buffer).unwrap();
    (client, server)
}

#[test]
#[ignore = "needs a kernel with IPVS; cargo xtask test runs it"]
fn counters_are_those_that_ipvsadm_prints_and_zero_zeroes_them() {
    isolated(|| {
        let mut client = client();
        fill(&mut client);
        let connection = send();
        wait_until_counted(|| printed("UDP  127.1.0.1:53")[0] == 3);
        wait_until_counted(|| printed("TCP  127.1.0.1:80")[0] == 1);
        // Both virtual servers and their real servers, each at a time of its own.
        thread::sleep(RENEWAL);

        let udp = client.virtual_server(&dns()).unwrap().unwrap();
        // Three datagrams of five bytes with 28 bytes of headers.
        assert_eq!(read(&udp.stats), [3, 3, 0, 99, 0]);
        assert_eq!(printed("UDP  127.1.0.1:53"), [3, 3, 0, 99, 0]);
        let web = client.virtual_server(&tcp("127.1.0.1", 80)).unwrap().unwrap();
        assert_eq!(read(&web.stats), printed("TCP  127.1.0.1:80"));
        assert_eq!(web.stats.connections, 1);
        assert!(web.stats.packets_out > 1 && web.stats.bytes_out > 100, "{:?}", web.stats);

        let servers = client.real_servers(&tcp("127.1.0.1", 80)).unwrap().entries;
        assert_eq!(read(&servers[0].stats), read(&web.stats));
        assert_eq!((servers[0].active_connections, servers[0].inactive_connections), (1, 0));
        let servers = client.real_servers(&dns()).unwrap().entries;
        assert_eq!((servers[0].active_connections, servers[0].inactive_connections), (0, 3));

        let mut batch = Batch::new();
        batch.zero(Some(&dns()));
        apply(&mut client, &mut batch);
        assert_eq!(printed("UDP  127.1.0.1:53"), [0; 5]);
        assert_eq!(printed("TCP  127.1.0.1:80")[0], 1, "the other keeps its counters");
        let udp = client.virtual_server(&dns()).unwrap().unwrap();
        assert_eq!(read(&udp.stats), [0; 5]);

        batch.clear();
        batch.zero(None);
        apply(&mut client, &mut batch);
        assert_eq!(printed("TCP  127.1.0.1:80"), [0; 5]);
        let servers = client.real_servers(&tcp("127.1.0.1", 80)).unwrap().entries;
        assert_eq!(read(&servers[0].stats), [0; 5]);
        assert_eq!(servers[0].active_connections, 1, "connections are no counter");
        drop(connection);
    });
}

#[test]
#[ignore = "needs a kernel with IPVS; cargo xtask test runs it"]
fn a_client_that_persists_is_counted() {
    isolated(|| {
        run("ipvsadm -A -u 127.1.0.1:53 -s rr -p 300");
        run("ipvsadm -a -u 127.1.0.1:53 -r 127.2.0.1:8080 -m");
        let server = UdpSocket::bind("127.2.0.1:8080").unwrap();
        for _ in 0..3 {
            let client = UdpSocket::bind("127.0.0.1:0").unwrap();
            client.send_to(b"hello", "127.1.0.1:53").unwrap();
            server.recv_from(&mut [0; 16]).unwrap();
        }
        let servers = client().real_servers(&dns()).unwrap().entries;
        let shown = run("ipvsadm -Ln --persistent-conn");
        let row = shown.lines().last().unwrap();
        // Weight, then persistent, active and inactive connections.
        let numbers: Vec<_> = row.split_whitespace().skip(2).collect();
        assert_eq!(numbers, ["1", "1", "0", "3"], "{row}");
        let read = &servers[0];
        assert_eq!(
            (read.persistent_connections, read.active_connections, read.inactive_connections),
            (1, 0, 3)
        );
    });
}
