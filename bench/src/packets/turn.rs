//! One measurement of one target.

use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow};

use super::caller::{Caller, Connection};
use super::network::{Client, Network};
use super::target::Target;

/// How much is measured in one turn.
#[derive(Clone, Copy, Debug, serde::Serialize, serde::Deserialize)]
pub struct Amount {
    /// Connections of all clients together, each client one after the other.
    pub connections: usize,
    /// Connections of one client alone, one after the other.
    pub singles: usize,
    /// Requests of one client alone, on connections that stay open.
    pub requests: usize,
}

impl Amount {
    /// Connections that the busiest client opens in a turn.
    pub fn of_a_client(&self, clients: usize, pods: usize) -> usize {
        self.connections.div_ceil(clients.max(1)) + self.singles + pods
    }

    /// Connections of all clients in a turn.
    pub fn of_all(&self, pods: usize) -> usize {
        self.connections + self.singles + pods
    }
}

/// What was measured.
#[derive(Clone, Debug)]
pub struct Turn {
    /// Connections a second.
    pub rate: f64,
    /// From the first system call for a connection to its first answer.
    pub new: Vec<Duration>,
    /// From a request to its answer.
    pub kept: Vec<Duration>,
    /// Connections that each pod has answered on.
    pub answered: Vec<u64>,
}

/// Measures how `target` answers the clients of its network.
///
/// # Errors
/// When anything is not answered, or by a wrong pod.
pub fn take(network: &mut Network, target: &Target, amount: &Amount) -> Result<Turn> {
    let mut answered = vec![0; target.pods()];
    let rate = together(&mut network.clients, target, amount.connections, &mut answered)?;
    let client = network.clients.first_mut().context("a network without clients")?;
    let namespace = client.host.namespace().clone();
    let (new, kept) = namespace.run(|| {
        let mut caller = Caller::new(target, &mut client.ports);
        let new = one_by_one(&mut caller, amount.singles)?;
        let kept = on_open_connections(&mut caller, target, amount.requests)?;
        add(&mut answered, &caller.answered);
        anyhow::Ok((new, kept))
    })??;
    Ok(Turn { rate, new, kept, answered })
}

/// Connections a second, when each client opens the next one as soon as the last one was answered.
#[expect(clippy::cast_precision_loss, reason = "thousands of connections")]
fn together(
    clients: &mut [Client],
    target: &Target,
    connections: usize,
    answered: &mut [u64],
) -> Result<f64> {
    let count = clients.len();
    let start = Barrier::new(count);
    let results: Vec<Result<_>> = thread::scope(|scope| {
        let calling: Vec<_> = clients
            .iter_mut()
            .enumerate()
            .map(|(number, client)| {
                let share = (connections + number) / count;
                let start = &start;
                scope.spawn(move || {
                    let namespace = client.host.namespace().clone();
                    namespace.run(|| {
                        let mut caller = Caller::new(target, &mut client.ports);
                        start.wait();
                        let begin = Instant::now();
                        for _ in 0..share {
                            caller.call()?;
                        }
                        anyhow::Ok((begin, Instant::now(), caller.answered))
                    })?
                })
            })
            .collect();
        let join = |thread: thread::ScopedJoinHandle<'_, Result<_>>| {
            thread.join().unwrap_or_else(|_| Err(anyhow!("a client panicked")))
        };
        calling.into_iter().map(join).collect()
    });
    let results = results.into_iter().collect::<Result<Vec<_>>>()?;
    let begin = results.iter().map(|(begin, ..)| *begin).min();
    let end = results.iter().map(|(_, end, _)| *end).max();
    for (.., counts) in &results {
        add(answered, counts);
    }
    let (begin, end) = begin.zip(end).context("a network without clients")?;
    Ok(connections as f64 / (end - begin).as_secs_f64().max(1e-9))
}

fn one_by_one(caller: &mut Caller<'_>, count: usize) -> Result<Vec<Duration>> {
    let mut times = Vec::with_capacity(count);
    for _ in 0..count {
        let begin = Instant::now();
        let connection = caller.call()?;
        times.push(begin.elapsed());
        drop(connection);
    }
    Ok(times)
}

/// One connection for each pod, used in turn.
fn on_open_connections(
    caller: &mut Caller<'_>,
    target: &Target,
    count: usize,
) -> Result<Vec<Duration>> {
    let open: Vec<Connection> = (0..target.pods()).map(|_| caller.call()).collect::<Result<_>>()?;
    let mut times = Vec::with_capacity(count);
    for connection in open.iter().cycle().take(count) {
        let begin = Instant::now();
        connection.ask().context("on a connection that was answered before")?;
        times.push(begin.elapsed());
    }
    Ok(times)
}

fn add(sum: &mut [u64], more: &[u64]) {
    for (sum, more) in sum.iter_mut().zip(more) {
        *sum += more;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_client_opens_is_an_upper_bound_of_its_share() {
        let amount = Amount { connections: 1001, singles: 10, requests: 5 };
        let most = amount.of_a_client(4, 3) - amount.singles - 3;
        let shares = (0..4).map(|number| (amount.connections + number) / 4);
        assert_eq!(shares.clone().sum::<usize>(), amount.connections);
        assert_eq!(shares.max(), Some(most));
    }
}
