//! A kernel that refuses now and then.

use std::time::Duration;

use proptest::prelude::*;
use trimtab_reconcile::{Action, Kernel, KernelState, Phase, Reconciler, Refused};

use crate::events::{Event, event};
use crate::world::{Objects, Visible, World, difference, settings, tell};

/// Refuses operations as told, and counts them.
struct Moody {
    state: KernelState,
    moods: Vec<u8>,
    next: usize,
    calm: bool,
}

impl Kernel for Moody {
    fn apply(&mut self, _phase: Phase, actions: &[&Action]) -> Vec<(usize, Refused)> {
        let mut refused = Vec::new();
        for (position, action) in actions.iter().enumerate() {
            let mood = self.moods[self.next % self.moods.len()];
            self.next += 1;
            if mood < 30 && !self.calm {
                refused.push((position, Refused::Other("out of memory".into())));
            } else if let Err(why) = self.state.act(action) {
                refused.push((position, why));
            }
        }
        refused
    }
}

impl Visible for Moody {
    fn state(&self) -> &KernelState {
        &self.state
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    /// Whatever fails is tried again, and once nothing fails any more the kernel is as wanted.
    #[test]
    fn failures_are_made_good(
        events in prop::collection::vec(event(), 0..80),
        moods in prop::collection::vec(any::<u8>(), 1..40),
    ) {
        let kernel = Moody { state: KernelState::default(), moods, next: 0, calm: false };
        let mut world = World::new(Reconciler::new(settings()), kernel);
        let mut objects = Objects::new(settings());
        for event in &events {
            objects.take(event);
            tell(&mut world.reconciler, event);
            match event {
                Event::Sync => world.sync(),
                Event::Wait(seconds) => world.now += Duration::from_secs(*seconds),
                _ => {}
            }
        }
        world.kernel.calm = true;
        world.sync();
        while let Some(due) = world.reconciler.next_retry() {
            world.now = world.now.max(due);
            world.sync();
        }
        world.audit();
        world.end_drains();
        prop_assert_eq!(difference(&world.kernel.state, &objects.desired()), "");
        prop_assert_eq!(world.reconciler.retrying(), 0);
    }
}
