//! Who is called: the pods by their own addresses, or all of them by the VIP.

use std::net::SocketAddr;

use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};
use socket2::SockAddr;

use super::message::{self, Message};

/// How a request reaches a pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Path {
    /// By the pod's own address.
    Direct,
    /// By the Service's.
    Vip,
}

/// Whom to call, and who may answer.
#[derive(Debug)]
pub struct Target {
    path: Path,
    addresses: Vec<SockAddr>,
    answers: Vec<Message>,
}

impl Target {
    /// Each pod in turn, by its own address.
    pub fn direct(pods: &[(String, SocketAddr)]) -> Self {
        let addresses = pods.iter().map(|(_, address)| (*address).into()).collect();
        Self { path: Path::Direct, addresses, answers: answers(pods) }
    }

    /// The VIP.
    pub fn vip(pods: &[(String, SocketAddr)], vip: SocketAddr) -> Self {
        Self { path: Path::Vip, addresses: vec![vip.into()], answers: answers(pods) }
    }

    /// How it is reached.
    pub fn path(&self) -> Path {
        self.path
    }

    /// How many pods there are.
    pub fn pods(&self) -> usize {
        self.answers.len()
    }

    /// Where connection `number` goes.
    pub fn address(&self, number: usize) -> &SockAddr {
        &self.addresses[number % self.addresses.len()]
    }

    /// The number of the pod that gave this answer on connection `number`.
    ///
    /// # Errors
    /// When it is none of them, or not the one that was asked by its own address.
    pub fn pod(&self, number: usize, answer: &Message) -> Result<usize> {
        let found = self.answers.iter().position(|known| known == answer);
        let pod = found.with_context(|| {
            format!("an answer from none of the pods: {:?}", String::from_utf8_lossy(answer))
        })?;
        let asked = number % self.addresses.len();
        ensure!(self.path == Path::Vip || pod == asked, "pod {asked} was asked, {pod} answered");
        Ok(pod)
    }
}

fn answers(pods: &[(String, SocketAddr)]) -> Vec<Message> {
    pods.iter().map(|(name, _)| message::answer(name)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_pod_that_was_asked_may_answer_and_behind_the_vip_any_of_them() {
        let pods = ["a", "b"].map(|name| (name.to_owned(), "10.0.0.1:80".parse().unwrap()));
        let (a, b) = (message::answer("a"), message::answer("b"));
        let direct = Target::direct(&pods);
        assert_eq!(direct.pod(3, &b).unwrap(), 1);
        assert!(direct.pod(3, &a).is_err());
        let vip = Target::vip(&pods, "10.96.0.1:80".parse().unwrap());
        assert_eq!([vip.pod(3, &a).unwrap(), vip.pod(3, &b).unwrap()], [0, 1]);
        assert!(vip.pod(0, &message::answer("c")).is_err());
    }
}
