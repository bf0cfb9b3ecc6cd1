//! Reading real servers by socket options, checked with `ipvsadm`.

use trimtab_core::{Family, Frontend, RealServer, RealServerKey, Scheduler, VirtualServer};
use trimtab_ipvs::{Batch, OptionReader};

use crate::namespace::{apply, client, ip, isolated, lines, run, tcp};

/// What `ipvsadm -Sn` says of a virtual server's real servers, from what the reader found.
fn as_ipvsadm(service: &str, found: &[trimtab_ipvs::CountedRealServer]) -> Vec<String> {
    let line = |counted: &trimtab_ipvs::CountedRealServer| {
        let RealServer { key, weight, .. } = counted.server;
        format!("-a {service} -r {key} -m -w {weight}")
    };
    let mut lines: Vec<String> = found.iter().map(line).collect();
    lines.sort();
    lines
}

#[test]
#[ignore = "needs a kernel with IPVS; cargo xtask test runs it"]
fn options_show_the_real_servers_that_ipvsadm_shows_however_many() {
    isolated(|| {
        let frontend = tcp("10.96.0.10", 80);
        let mark = Frontend::Mark { mark: 7, family: Family::V4 };
        let mut client = client();
        let mut batch = Batch::new();
        for frontend in [frontend, mark] {
            batch.add_virtual_server(&VirtualServer::new(frontend, Scheduler::RoundRobin));
        }
        apply(&mut client, &mut batch);
        let mut reader = OptionReader::open().unwrap();
        assert_eq!(reader.virtual_server_count().unwrap(), 2);
        let mut there = 0;
        for count in [0, 1, 31, 32, 33, 127, 128, 129, 600_u16] {
            batch.clear();
            for number in there..count {
                let address = format!("10.244.{}.{}", number / 250, number % 250 + 1);
                let mut server = RealServer::masqueraded(RealServerKey::new(ip(&address), 8080));
                server.weight = u32::from(number);
                batch.add_real_server(&frontend, &server);
                batch.add_real_server(&mark, &server);
            }
            there = count;
            if count > 0 {
                apply(&mut client, &mut batch);
            }
            for (frontend, service) in [(frontend, "-t 10.96.0.10:80"), (mark, "-f 7")] {
                let found = reader.real_servers(&frontend).unwrap().unwrap();
                assert_eq!(found.len(), usize::from(count));
                let shown = lines(&format!("ipvsadm -Sn | grep -e '^-a {service} ' || true"));
                assert_eq!(as_ipvsadm(service, &found), shown);
            }
        }
    });
}

#[test]
#[ignore = "needs a kernel with IPVS; cargo xtask test runs it"]
fn what_options_cannot_show_is_left_to_netlink() {
    isolated(|| {
        run("ipvsadm -A -t 10.96.0.10:80 && ipvsadm -a -t 10.96.0.10:80 -r 10.244.0.5:80 -i");
        run("ipvsadm -A -t [fd00::1]:80");
        let mut reader = OptionReader::open().unwrap();
        assert_eq!(reader.real_servers(&tcp("10.96.0.10", 80)).unwrap(), None);
        assert_eq!(reader.real_servers(&tcp("fd00::1", 80)).unwrap(), None);
        let missing = reader.real_servers(&tcp("10.96.0.11", 80)).unwrap_err();
        assert_eq!(missing.errno().map(|errno| errno.0), Some(libc::ESRCH), "{missing}");
    });
}
