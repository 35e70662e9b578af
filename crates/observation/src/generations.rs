//! A map of bounded size, for what clients bring.

use std::{collections::HashMap, hash::Hash};

/// A map that forgets the keys that were not used lately.
///
/// It has two generations; when the younger is full, the older is dropped. It holds at least the `capacity`
/// keys used last, and at most twice as many.
pub struct Generations<K, V> {
    capacity: usize,
    young: HashMap<K, V>,
    old: HashMap<K, V>,
}

impl<K: Hash + Eq + Clone, V> Generations<K, V> {
    /// Makes an empty map.
    pub fn new(capacity: usize) -> Self {
        Self { capacity, young: HashMap::new(), old: HashMap::new() }
    }

    /// Iterates over the values.
    pub fn values(&self) -> impl Iterator<Item = &V> {
        self.young.values().chain(self.old.values())
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.young = HashMap::new();
        self.old = HashMap::new();
    }

    fn make_room(&mut self) {
        if self.young.len() >= self.capacity {
            self.old = std::mem::take(&mut self.young);
        }
    }

    /// Returns the value of `key`, which counts as used.
    pub fn get_mut<Q: Hash + Eq + ?Sized>(&mut self, key: &Q) -> Option<&mut V>
    where
        K: std::borrow::Borrow<Q>,
    {
        if !self.young.contains_key(key) {
            let (key, value) = self.old.remove_entry(key)?;
            self.make_room();
            self.young.insert(key, value);
        }
        self.young.get_mut(key)
    }

    /// Returns the key and the value of `key`, which are made if they are missing.
    pub fn entry<Q: Hash + Eq + ?Sized>(
        &mut self,
        key: &Q,
        own: impl FnOnce() -> K,
        make: impl FnOnce() -> V,
    ) -> (K, &mut V)
    where
        K: std::borrow::Borrow<Q>,
    {
        let owned = match self.young.get_key_value(key) {
            Some((owned, _)) => owned.clone(),
            None => {
                let (owned, value) = self.old.remove_entry(key).unwrap_or_else(|| (own(), make()));
                self.make_room();
                self.young.insert(owned.clone(), value);
                owned
            }
        };
        let value = self.young.get_mut(key).expect("the key was found or inserted");
        (owned, value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_that_were_not_used_lately_are_forgotten() {
        let mut map = Generations::new(100);
        for key in 0..10_000_u64 {
            map.entry(&key, || key, || key);
            assert!(map.get_mut(&0).is_some(), "used before every insertion");
            assert!(map.young.len() + map.old.len() <= 200);
        }
        assert!((9_900..10_000).all(|key| map.get_mut(&key).is_some()));
        assert!(map.get_mut(&5_000).is_none());
    }
}
