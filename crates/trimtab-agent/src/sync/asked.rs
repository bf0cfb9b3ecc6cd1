//! Answering questions.

use trimtab_reconcile::ports::DataPlane;

use super::{Stage, SyncLoop};
use crate::questions::{LoopState, Question, Told};

impl<D: DataPlane> SyncLoop<D> {
    /// Answers a question; whoever asked may be gone.
    pub(super) fn answer(&self, question: Question) {
        match question {
            Question::State(answer) => drop(answer.send(self.state())),
            Question::Programmed(query, answer) => {
                let told = Told { now: self.now(), answer: self.reconciler.answer(&query) };
                drop(answer.send(told));
            }
            Question::Explain(part, answer) => {
                let told = self.reconciler.explain(&part.service, part.from, part.limit);
                drop(answer.send(told));
            }
        }
    }

    fn state(&self) -> LoopState {
        let (virtual_servers, real_servers) = self.reconciler.server_counts();
        LoopState {
            now: self.now(),
            is_listing: self.stage == Stage::Listing,
            services: self.reconciler.service_count(),
            virtual_servers,
            real_servers,
            draining: self.reconciler.draining_servers(),
            pending: self.reconciler.backlog(),
            retrying: self.reconciler.retrying(),
            failing_services: self.reconciler.failing_services(),
            lag: self.pending_since.map(|since| since.elapsed()),
            compared: self.compared,
        }
    }
}
