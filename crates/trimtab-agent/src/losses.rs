//! Noticing soon that IPVS has lost most of its virtual servers, as after `ipvsadm -C`, which the
//! kernel notifies nobody of.

/// Follows a number of virtual servers that is cheap to read.
#[derive(Debug, Default)]
pub(crate) struct Losses {
    /// The most there were since the last loss.
    most: usize,
    /// How many there were last.
    last: usize,
    /// Whether more than half are gone.
    is_lost: bool,
}

impl Losses {
    /// Takes the next number; whether more than half of the most that there were are gone. A loss is
    /// reported once, when the number has stopped falling: deleting thousands takes the kernel
    /// seconds, and a look meanwhile would find some of them there. If Trimtab itself has deleted
    /// them, looking at the kernel does no harm.
    pub(crate) fn take(&mut self, count: usize) -> bool {
        let is_falling = count < self.last;
        self.last = count;
        self.most = self.most.max(count);
        self.is_lost |= count < self.most.div_ceil(2);
        if !self.is_lost || is_falling {
            return false;
        }
        *self = Self { most: count, last: count, is_lost: false };
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn losing_more_than_half_is_reported_once() {
        let mut losses = Losses::default();
        let counts = [0, 10, 9, 5, 5, 4, 4, 4, 0, 3, 5000, 2500, 2499, 1200, 7, 7, 7];
        let reported: Vec<usize> =
            (0..counts.len()).filter(|at| losses.take(counts[*at])).collect();
        assert_eq!(reported, [6, 9, 15]);
    }

    #[test]
    fn the_only_virtual_server_counts_too() {
        let mut losses = Losses::default();
        assert!(!losses.take(1));
        let reported = [0, 0, 0].map(|count| losses.take(count));
        assert_eq!(reported, [false, true, false]);
    }
}
