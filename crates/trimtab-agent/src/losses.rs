//! Noticing soon that IPVS has lost most of its virtual servers, as after `ipvsadm -C`, which the
//! kernel notifies nobody of.

/// Follows a number of virtual servers that is cheap to read.
#[derive(Debug, Default)]
pub(crate) struct Losses {
    /// The most there were since the last loss.
    most: usize,
}

impl Losses {
    /// Takes the next number; whether more than half of the most that there were are gone. A loss is
    /// reported once. If Trimtab itself has deleted them, looking at the kernel does no harm.
    pub(crate) fn take(&mut self, count: usize) -> bool {
        let is_lost = count < self.most.div_ceil(2);
        self.most = if is_lost { count } else { self.most.max(count) };
        is_lost
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn losing_more_than_half_is_reported_once() {
        let mut losses = Losses::default();
        let counts = [0, 10, 9, 5, 4, 4, 0, 0, 3, 5000, 2500, 2499, 1];
        let reported: Vec<usize> = counts.into_iter().filter(|it| losses.take(*it)).collect();
        assert_eq!(reported, [4, 0, 2499, 1]);
    }

    #[test]
    fn the_only_virtual_server_counts_too() {
        let mut losses = Losses::default();
        assert!(!losses.take(1));
        assert!(losses.take(0));
        assert!(!losses.take(0));
    }
}
