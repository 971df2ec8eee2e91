//! A table whose places are used again.

/// Items by place. A place that is given up is the next to be taken, so the table stays small and
/// warm, and takes memory only when it is fuller than ever before.
#[derive(Debug)]
pub(crate) struct Slab<T> {
    items: Vec<Option<T>>,
    free: Vec<u32>,
}

impl<T> Slab<T> {
    pub(crate) const fn new() -> Self {
        Self { items: Vec::new(), free: Vec::new() }
    }

    /// How many items there are.
    pub(crate) fn len(&self) -> usize {
        self.items.len() - self.free.len()
    }

    pub(crate) fn insert(&mut self, item: T) -> u32 {
        match self.free.pop() {
            Some(place) => {
                self.items[place as usize] = Some(item);
                place
            }
            None => {
                let place = u32::try_from(self.items.len()).expect("fewer than 2^32 items");
                self.items.push(Some(item));
                place
            }
        }
    }

    #[track_caller]
    pub(crate) fn get_mut(&mut self, place: u32) -> &mut T {
        self.items[place as usize].as_mut().expect("an item is used until it is removed")
    }

    #[track_caller]
    pub(crate) fn remove(&mut self, place: u32) -> T {
        let item = self.items[place as usize].take().expect("an item is removed once");
        self.free.push(place);
        item
    }
}

#[cfg(test)]
mod tests {
    use super::Slab;

    #[test]
    fn places_are_used_again() {
        let mut slab = Slab::new();
        let places = ["a", "b", "c"].map(|item| slab.insert(item));
        assert_eq!((places, slab.len()), ([0, 1, 2], 3));
        assert_eq!(slab.remove(1), "b");
        assert_eq!((slab.insert("d"), slab.len()), (1, 3));
        *slab.get_mut(1) = "e";
        assert_eq!(slab.remove(1), "e");
    }
}
