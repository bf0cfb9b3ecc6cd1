//! Set elements and addresses, which several Services may want at once.

use std::net::IpAddr;

use trimtab_core::{SetElement, SetId};

use super::Reconciler;
use crate::operation::ServiceId;
use crate::tables::ObjectKey;

impl Reconciler {
    /// Takes over the elements that belong to a Service but to none of its frontends.
    pub(super) fn take_elements(&mut self, id: ServiceId, elements: Vec<(SetId, SetElement)>) {
        let Some(entry) = self.input.services.get_mut(id) else { return };
        let old = std::mem::replace(&mut entry.elements, elements.clone());
        for element in elements {
            self.count_element(id, element, true);
        }
        for element in old {
            self.count_element(id, element, false);
        }
    }

    /// Counts one Service more, or one less, that wants an element.
    pub(super) fn count_element(
        &mut self,
        id: ServiceId,
        element: (SetId, SetElement),
        more: bool,
    ) {
        let counted = self.model.tables.elements.count(element.0, element.1);
        let differs = if more { counted.want() } else { counted.release() };
        if differs {
            self.touch(id, ObjectKey::Element(element.0, element.1));
        }
    }

    /// Counts one Service more, or one less, that wants an address on the dummy interface.
    pub(super) fn count_address(&mut self, id: ServiceId, address: IpAddr, more: bool) {
        let counted = self.model.tables.addresses.entry(address).or_default();
        let differs = if more { counted.want() } else { counted.release() };
        if differs {
            self.touch(id, ObjectKey::Address(address));
        }
    }
}
