//! The example `ipvsls` prints what `ipvsadm -Ln` prints, to the last blank.

use std::fmt::Write as _;
use std::io::Write as _;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, TcpListener, TcpStream};
use std::process::{Command, Stdio};

use trimtab_core::{ForwardingMethod, RealServer, Scheduler};
use trimtab_ipvs::Batch;

use crate::namespace::{apply, client, example, isolated, masqueraded, run, tcp};

#[track_caller]
fn assert_prints_the_same() -> String {
    let ours = Command::new(example("ipvsls")).output().unwrap();
    assert!(ours.status.success() && ours.stderr.is_empty(), "{ours:?}");
    let ours = String::from_utf8(ours.stdout).unwrap();
    let theirs = run("ipvsadm -Ln");
    for (number, (ours, theirs)) in ours.lines().zip(theirs.lines()).enumerate() {
        assert_eq!(ours, theirs, "line {}", number + 1);
    }
    assert_eq!(ours, theirs);
    theirs
}

/// Has ipvsadm make all of these.
fn restore(commands: &str) {
    let mut ipvsadm = Command::new("ipvsadm").arg("-R").stdin(Stdio::piped()).spawn().unwrap();
    ipvsadm.stdin.take().unwrap().write_all(commands.as_bytes()).unwrap();
    assert!(ipvsadm.wait().unwrap().success());
}

/// Whether ipvsadm can do this here: not every kernel has every scheduler.
fn is_there(command: &str) -> bool {
    let output = Command::new("sh").args(["-c", command]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        said.is_empty() || said.contains("Scheduler or persistence engine not found"),
        "{said}"
    );
    said.is_empty()
}

#[test]
#[ignore = "needs a kernel with IPVS; cargo xtask test runs it"]
fn an_empty_table_prints_as_ipvsadm_prints_it() {
    isolated(|| {
        assert_eq!(assert_prints_the_same().lines().count(), 3);
    });
}

#[test]
#[ignore = "needs a kernel with IPVS; cargo xtask test runs it"]
fn every_option_prints_as_ipvsadm_prints_it() {
    isolated(|| {
        let mut commands = String::from(
            "-A -t 10.0.0.1:80 -s sh -b sh-port
             -A -t 10.0.0.2:80 -s sh -b sh-fallback,sh-port -p 600 -M 255.255.255.0
             -A -t 10.0.0.3:80 -s sh -b flag-3
             -A -t 10.0.0.4:80 -s mh -b mh-fallback
             -A -t 10.0.0.5:80 -s mh -b mh-fallback,mh-port,flag-3
             -A -t 10.0.0.6:80 -s wrr -b flag-1
             -A -t 10.0.0.7:80 -s wlc -b flag-1,flag-2,flag-3
             -A -t 10.0.0.8:0 -s wlc -p 300
             -A -t 10.0.0.9:80 -s rr -p 60 -M 0.0.0.0
             -A -t 10.0.0.10:80 -s rr -p 60 -M 255.0.255.0
             -A -u 10.0.0.11:53 -s rr -o
             -A -u 10.0.0.12:53 -s sh -b sh-port -o
             -A -u 10.0.0.13:53 -s rr -p 30 -o
             -A -t [fd00::1]:443 -s rr -p 60
             -A -t [fd00::2]:443 -s rr -p 60 -M 64
             -A -t [fd00::3]:443 -s mh -b mh-port -p 86400 -M 1
             -A -u [fd00::4]:53 -s rr -o
             -A --sctp-service 10.0.0.1:80 -s rr
             -A --sctp-service [fd00::1]:80 -s lc
             -A -f 1 -s rr
             -A -f 1 -6 -s rr
             -A -f 2147483647 -s wlc -p 60 -M 255.255.0.0
             -A -f 4294967295 -s wlc
             -A -f 4294967295 -6 -s wlc -p 60 -M 48
             -a -t 10.0.0.1:80 -r 10.1.0.1:8080 -m
             -a -t 10.0.0.1:80 -r 10.1.0.2:8080 -m -w 0
             -a -t 10.0.0.1:80 -r 10.1.0.3:8080 -m -w 65535 -x 10 -y 5
             -a -t 10.0.0.1:80 -r 223.255.255.254:65535 -m -w 2147483647
             -a -t 10.0.0.1:80 -r 10.1.0.4:80 -g
             -a -t 10.0.0.1:80 -r 10.1.0.5:80 -i
             -a -t 10.0.0.1:80 -r 10.1.0.6:80 -i --tun-type gue --tun-port 6080
             -a -t 10.0.0.1:80 -r 10.1.0.7:80 -i --tun-type gre
             -a -t 10.0.0.1:80 -r [fd00:1::8]:80 -i
             -a -t [fd00::1]:443 -r [fd00:1::1]:8443 -m -w 3
             -a -t [fd00::1]:443 -r [fd00:1:2:3:4:5:6:7]:443 -g
             -a -t [fd00::1]:443 -r 10.1.0.9:443 -i
             -a -f 1 -r 10.1.0.1:0 -g
             -a -f 1 -6 -r [fd00:1::1]:0 -g
",
        );
        // "IPv4-compatible" addresses, and those that only look so.
        for vip in
            ["::1.2.3.4", "::102:0", "::5", "::ffff:1.2.3.4", "1::", "1:0:0:2::", "2001:0:3::"]
        {
            writeln!(commands, "-A -t [{vip}]:80 -s rr").unwrap();
        }
        restore(&commands);

        let schedulers: Vec<_> = (0u8..)
            .zip(Scheduler::known())
            .filter(|(number, scheduler)| {
                is_there(&format!("ipvsadm -A -t 10.2.0.{number}:80 -s {scheduler}"))
            })
            .collect();
        assert!(schedulers.len() >= 13, "{schedulers:?}");
        is_there("ipvsadm -A -u 10.3.0.1:5060 -s rr -p 60 --pe sip -o");

        // What ipvsadm does not make, and prints.
        let mut batch = Batch::new();
        for (pod, forwarding) in
            [("10.1.0.10", ForwardingMethod::Local), ("10.1.0.11", ForwardingMethod::Bypass)]
        {
            let server = RealServer { forwarding, ..masqueraded(pod, 80) };
            batch.add_real_server(&tcp("10.0.0.1", 80), &server);
        }
        apply(&mut client(), &mut batch);
        let printed = assert_prints_the_same();
        for word in
            ["Local", "Tunnel", "Route", "Masq", "(null)", "SCTP", "mask 255.0.255.0", "ops"]
        {
            assert!(printed.contains(word), "no {word} in\n{printed}");
        }
    });
}

#[test]
#[ignore = "needs a kernel with IPVS; cargo xtask test runs it"]
fn connections_print_as_ipvsadm_prints_them() {
    isolated(|| {
        restore("-A -t 127.1.0.1:80 -s rr\n-a -t 127.1.0.1:80 -r 127.2.0.1:8080 -m\n");
        let listener = TcpListener::bind("127.2.0.1:8080").unwrap();
        let clients: Vec<_> =
            (0..12).map(|_| TcpStream::connect("127.1.0.1:80").unwrap()).collect();
        let servers: Vec<_> = clients.iter().map(|_| listener.accept().unwrap()).collect();
        // Some end, so that there are inactive ones too.
        drop((clients.into_iter().take(5), servers));
        let printed = assert_prints_the_same();
        let row = printed.lines().last().unwrap();
        let counts: Vec<u32> = row.split_whitespace().skip(4).map(|n| n.parse().unwrap()).collect();
        assert_eq!(counts.iter().sum::<u32>(), 12, "{row}");
    });
}

/// Numbers that look random and are the same every time (Knuth's constants for 64 bits).
fn scattered(seed: u64) -> impl FnMut() -> u32 {
    let mut state = seed;
    move || {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        u32::try_from(state >> 32).unwrap()
    }
}

#[test]
#[ignore = "needs a kernel with IPVS; cargo xtask test runs it"]
fn addresses_from_everywhere_print_in_ipvsadms_order() {
    isolated(|| {
        // ipvsadm's comparison overflows: there is no order to this but its own.
        for seed in [1, 2, 3] {
            let mut next = scattered(seed);
            let mut commands = String::new();
            let mut vips: Vec<(IpAddr, u32)> = Vec::new();
            for number in 0..150 {
                let four = Ipv4Addr::from_bits(next());
                let [a, b, c, d] = [next(), next(), next(), next()].map(u128::from);
                let six = Ipv6Addr::from_bits(a << 96 | b << 64 | c << 32 | d);
                let vip = if number % 2 == 0 { IpAddr::V4(four) } else { IpAddr::V6(six) };
                vips.push((vip, next() % 65535 + 1));
            }
            for (number, (vip, port)) in vips.iter().enumerate() {
                let service = ["-t", "-u", "--sctp-service"][number % 3];
                let place = match vip {
                    IpAddr::V4(vip) => format!("{vip}:{port}"),
                    IpAddr::V6(vip) => format!("[{vip}]:{port}"),
                };
                writeln!(commands, "-A {service} {place} -s rr").unwrap();
                for _ in 0..number % 9 {
                    // Only unicast addresses can be real servers.
                    let first = 1 + next() % 223;
                    let four = Ipv4Addr::from_bits(next() >> 8 | first << 24);
                    let port = next() % 65535 + 1;
                    let pod = if vip.is_ipv4() {
                        format!("{four}:{port}")
                    } else {
                        let [a, b, c] = [next(), next(), next()];
                        let six =
                            u128::from(first) << 120 | u128::from(a) << 64 | u128::from(b) << 32;
                        format!("[{}]:{port}", Ipv6Addr::from_bits(six | u128::from(c)))
                    };
                    writeln!(commands, "-a {service} {place} -r {pod} -m").unwrap();
                }
            }
            for _ in 0..20 {
                writeln!(commands, "-A -f {} -s rr", next()).unwrap();
            }
            restore(&commands);
            let printed = assert_prints_the_same();
            assert_eq!(printed.lines().count(), 3 + commands.lines().count());
            run("ipvsadm -C");
        }
    });
}
