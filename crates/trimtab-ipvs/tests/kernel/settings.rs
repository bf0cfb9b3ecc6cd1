//! Version, timeouts and sync daemons.

use std::net::IpAddr;

use trimtab_ipvs::{Batch, Errno, SyncDaemon, SyncRole, Timeouts};

use crate::namespace::{apply, client, ip, isolated, run};

#[test]
#[ignore = "needs a kernel with IPVS; cargo xtask test runs it"]
fn version_and_size_are_those_that_ipvsadm_prints() {
    isolated(|| {
        let info = client().info().unwrap();
        let title = run("ipvsadm -Ln | head -n 1");
        let (version, size) = (info.version, info.connection_table_size);
        assert_eq!(title, format!("IP Virtual Server version {version} (size={size})\n"));
        assert!(info.unknown.is_empty());
    });
}

#[test]
#[ignore = "needs a kernel with IPVS; cargo xtask test runs it"]
fn timeouts_are_set_and_read_and_those_not_named_stay() {
    isolated(|| {
        let mut client = client();
        let shown = || run("ipvsadm -Ln --timeout");
        let all = Timeouts { tcp: Some(901), tcp_fin: Some(121), udp: Some(301) };
        let mut batch = Batch::new();
        batch.set_timeouts(&all);
        apply(&mut client, &mut batch);
        assert_eq!(shown(), "Timeout (tcp tcpfin udp): 901 121 301\n");
        assert_eq!(client.timeouts().unwrap(), all);

        batch.clear();
        batch.set_timeouts(&Timeouts { tcp: Some(0), tcp_fin: None, udp: Some(60) });
        apply(&mut client, &mut batch);
        assert_eq!(shown(), "Timeout (tcp tcpfin udp): 901 121 60\n");

        run("ipvsadm --set 7200 30 15");
        let read = Timeouts { tcp: Some(7200), tcp_fin: Some(30), udp: Some(15) };
        assert_eq!(client.timeouts().unwrap(), read);
    });
}

#[test]
#[ignore = "needs a kernel with IPVS; cargo xtask test runs it"]
fn sync_daemons_start_with_every_setting_and_stop() {
    isolated(|| {
        run("ip link add d0 type dummy && ip link set d0 up multicast on");
        run("ip addr add 192.0.2.1/24 dev d0 && ip addr add fd00:2::1/64 dev d0 nodad");
        let mut client = client();
        let group: Option<IpAddr> = Some(ip("224.0.0.82"));
        let master = SyncDaemon {
            payload: 1200,
            group,
            port: 8849,
            ttl: 2,
            ..SyncDaemon::new(SyncRole::Master, "d0", 5)
        };
        let mut batch = Batch::new();
        batch.start_sync_daemon(&master);
        batch.start_sync_daemon(&SyncDaemon::new(SyncRole::Backup, "d0", 0));
        apply(&mut client, &mut batch);
        let shown = run("ipvsadm -Ln --daemon");
        let expected = "master sync daemon (mcast=d0, syncid=5, maxlen=1200, group=224.0.0.82, \
                        port=8849, ttl=2)";
        assert_eq!(shown.lines().next(), Some(expected), "{shown}");
        assert!(
            shown.lines().nth(1).unwrap().starts_with("backup sync daemon (mcast=d0, syncid=0")
        );

        let read: Vec<SyncDaemon> =
            client.sync_daemons().unwrap().into_iter().map(|observed| observed.daemon).collect();
        assert_eq!(read[0], master);
        // The kernel's defaults, filled in.
        assert_eq!((read[1].role, read[1].group), (SyncRole::Backup, Some(ip("224.0.0.81"))));
        assert_eq!((read[1].port, read[1].ttl), (8848, 1));

        // A second of the role, an interface that is not there, and one that does not run.
        batch.clear();
        batch.start_sync_daemon(&master);
        batch.stop_sync_daemon(SyncRole::Backup);
        batch.start_sync_daemon(&SyncDaemon::new(SyncRole::Backup, "nowhere", 0));
        batch.stop_sync_daemon(SyncRole::Backup);
        let report = client.apply(&mut batch).unwrap();
        let failed: Vec<_> = report.failures.iter().map(|f| (f.index, f.refusal.errno)).collect();
        assert_eq!(failed, [(0, Errno(17)), (2, Errno(19)), (3, Errno(3))]);
        let text = batch.explain(&report.failures[1]);
        assert!(text.starts_with("cannot start sync daemon backup on nowhere: "), "{text}");
        assert!(text.ends_with(": the interface does not exist"), "{text}");

        batch.clear();
        batch.stop_sync_daemon(SyncRole::Master);
        apply(&mut client, &mut batch);
        assert_eq!(run("ipvsadm -Ln --daemon"), "");
        assert_eq!(client.sync_daemons().unwrap().entries, []);
    });
}
