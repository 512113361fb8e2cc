//! Stand-in table: same interface, a BTreeMap inside.
use std::cell::Cell;
use std::collections::BTreeMap;

pub const INLINE_MAX: usize = 1024;
pub enum View<'a, V> {
    Int(i64),
    Bytes(&'a [u8]),
    Boxed(&'a V),
}
pub enum ViewMut<'a, V> {
    Int(i64),
    Bytes(&'a mut [u8]),
    Boxed(&'a mut V),
}
pub enum Payload<'a, V> {
    Int(i64),
    Bytes(&'a [u8]),
    Boxed(V),
}
pub enum Owned<V> {
    Int(i64),
    Bytes(Vec<u8>),
    Boxed(V),
}
struct Entry<V> {
    key: Vec<u8>,
    value: Owned<V>,
    expire: Option<i64>,
    access: Cell<u32>,
    mark: u8,
}
pub struct Ref<'a, V> {
    e: &'a Entry<V>,
}
pub struct Mut<'a, V> {
    map: &'a mut BTreeMap<(u64, Vec<u8>), Entry<V>>,
    at: (u64, Vec<u8>),
}
pub struct Table<V> {
    map: BTreeMap<(u64, Vec<u8>), Entry<V>>,
    state: ahash::RandomState,
}

fn own<V>(p: Payload<'_, V>) -> Owned<V> {
    match p {
        Payload::Int(i) => Owned::Int(i),
        Payload::Bytes(b) => {
            assert!(b.len() <= INLINE_MAX);
            Owned::Bytes(b.to_vec())
        }
        Payload::Boxed(v) => Owned::Boxed(v),
    }
}
impl<'a, V> Ref<'a, V> {
    pub fn key(&self) -> &'a [u8] {
        &self.e.key
    }
    pub fn view(&self) -> View<'a, V> {
        match &self.e.value {
            Owned::Int(i) => View::Int(*i),
            Owned::Bytes(b) => View::Bytes(b),
            Owned::Boxed(v) => View::Boxed(v),
        }
    }
    pub fn expire_at(&self) -> Option<i64> {
        self.e.expire
    }
    pub fn access(&self) -> u32 {
        self.e.access.get()
    }
    pub fn set_access(&self, a: u32) {
        self.e.access.set(a)
    }
    pub fn mark(&self) -> u8 {
        self.e.mark
    }
    pub fn heap_bytes(&self) -> usize {
        64
    }
}
impl<'a, V> Mut<'a, V> {
    fn e(&self) -> &Entry<V> {
        &self.map[&self.at]
    }
    fn em(&mut self) -> &mut Entry<V> {
        self.map.get_mut(&self.at).expect("there")
    }
    pub fn key(&self) -> &[u8] {
        &self.e().key
    }
    pub fn view(&self) -> View<'_, V> {
        match &self.e().value {
            Owned::Int(i) => View::Int(*i),
            Owned::Bytes(b) => View::Bytes(b),
            Owned::Boxed(v) => View::Boxed(v),
        }
    }
    pub fn view_mut(&mut self) -> ViewMut<'_, V> {
        match &mut self.em().value {
            Owned::Int(i) => ViewMut::Int(*i),
            Owned::Bytes(b) => ViewMut::Bytes(b),
            Owned::Boxed(v) => ViewMut::Boxed(v),
        }
    }
    pub fn expire_at(&self) -> Option<i64> {
        self.e().expire
    }
    pub fn access(&self) -> u32 {
        self.e().access.get()
    }
    pub fn set_access(&mut self, a: u32) {
        self.e().access.set(a)
    }
    pub fn mark(&self) -> u8 {
        self.e().mark
    }
    pub fn set_mark(&mut self, m: u8) {
        self.em().mark = m
    }
    pub fn set_payload(&mut self, p: Payload<'_, V>) -> Option<V> {
        match std::mem::replace(&mut self.em().value, own(p)) {
            Owned::Boxed(v) => Some(v),
            _ => None,
        }
    }
    pub fn set_expire(&mut self, at: Option<i64>) -> Option<i64> {
        std::mem::replace(&mut self.em().expire, at)
    }
    pub fn remove(self) -> Owned<V> {
        self.map.remove(&self.at).expect("there").value
    }
}
impl<V> Table<V> {
    pub fn new(seed: u64) -> Self {
        Table { map: BTreeMap::new(), state: ahash::RandomState::with_seeds(seed, 1, 2, 3) }
    }
    pub fn len(&self) -> usize {
        self.map.len()
    }
    pub fn is_empty(&self) -> bool {
        self.map.is_empty()
    }
    pub fn expires(&self) -> usize {
        self.map.values().filter(|e| e.expire.is_some()).count()
    }
    pub fn hash(&self, key: &[u8]) -> u64 {
        self.state.hash_one(key)
    }
    pub fn prefetch(&self, _h: u64) {}
    pub fn prefetch_entry(&self, _h: u64) {}
    pub fn get(&self, h: u64, key: &[u8]) -> Option<Ref<'_, V>> {
        self.map.get(&(h, key.to_vec())).map(|e| Ref { e })
    }
    pub fn get_mut(&mut self, h: u64, key: &[u8]) -> Option<Mut<'_, V>> {
        let at = (h, key.to_vec());
        if self.map.contains_key(&at) { Some(Mut { map: &mut self.map, at }) } else { None }
    }
    pub fn upsert(
        &mut self,
        h: u64,
        key: &[u8],
        p: Payload<'_, V>,
        expire: Option<i64>,
        access: u32,
    ) -> (Option<V>, bool) {
        let old = self.map.insert(
            (h, key.to_vec()),
            Entry { key: key.to_vec(), value: own(p), expire, access: Cell::new(access), mark: 0 },
        );
        match old {
            None => (None, false),
            Some(Entry { value: Owned::Boxed(v), .. }) => (Some(v), true),
            Some(_) => (None, true),
        }
    }
    pub fn scan(&self, cursor: u64, f: &mut dyn FnMut(Ref<'_, V>)) -> u64 {
        match self.map.iter().find(|((h, _), _)| h >> 16 >= cursor) {
            None => 0,
            Some(((h, _), _)) => {
                let p = h >> 16;
                for ((g, _), e) in &self.map {
                    if g >> 16 == p {
                        f(Ref { e })
                    }
                }
                if self.map.keys().any(|(g, _)| g >> 16 > p) { p + 1 } else { 0 }
            }
        }
    }
    pub fn iter(&self) -> impl Iterator<Item = Ref<'_, V>> {
        self.map.values().map(|e| Ref { e })
    }
    pub fn random(&self, rng: &mut u64) -> Option<Ref<'_, V>> {
        if self.map.is_empty() {
            return None;
        }
        let n = crate::base::prng::xorshift(rng) as usize % self.map.len();
        self.map.values().nth(n).map(|e| Ref { e })
    }
    pub fn expire_slice(
        &mut self,
        _c: &mut usize,
        now: i64,
        _b: usize,
        f: &mut dyn FnMut(&[u8], Owned<V>),
    ) -> usize {
        let due: Vec<_> = self
            .map
            .iter()
            .filter(|(_, e)| e.expire.is_some_and(|x| x <= now))
            .map(|(k, _)| k.clone())
            .collect();
        for k in &due {
            if let Some(e) = self.map.remove(k) {
                f(&e.key, e.value)
            }
        }
        due.len()
    }
    pub fn bytes(&self) -> usize {
        self.map.len() * 64
    }
}
