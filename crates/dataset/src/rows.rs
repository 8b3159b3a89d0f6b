use crate::Blog;
use crate::text::{CATEGORIES, Texts};

/// Rows of one table in the binary format of `COPY`, made one after the other.
pub(crate) struct Rows {
    table: Table,
    texts: Texts,
    rng: fastrand::Rng,
    blog: Blog,
    next: u64,
    scratch: String,
}

/// A table of the blog.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Table {
    Users,
    Posts,
    Comments,
}

/// The years 2023 and 2024, in microseconds since 2000, `PostgreSQL`'s epoch.
const FROM_US: i64 = 8401 * 86_400_000_000;
const SPAN_US: u64 = 731 * 86_400_000_000;

impl Table {
    pub(crate) const ALL: [Self; 3] = [Self::Users, Self::Posts, Self::Comments];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Users => "users",
            Self::Posts => "posts",
            Self::Comments => "comments",
        }
    }

    pub(crate) const fn rows(self, blog: &Blog) -> u64 {
        match self {
            Self::Users => blog.size.users,
            Self::Posts => blog.size.posts,
            Self::Comments => blog.size.comments,
        }
    }
}

impl Rows {
    pub(crate) fn new(table: Table, blog: Blog) -> Self {
        // Each table has a stream of its own, so that its rows do not depend on the others' number.
        let seed = blog.seed.wrapping_mul(3).wrapping_add(table as u64);
        Self {
            table,
            texts: Texts::new(blog.seed),
            rng: fastrand::Rng::with_seed(seed),
            blog,
            next: 1,
            scratch: String::new(),
        }
    }

    /// Appends the next row; `false` when there is none left.
    pub(crate) fn put(&mut self, out: &mut Vec<u8>) -> bool {
        if self.next > self.table.rows(&self.blog) {
            return false;
        }
        match self.table {
            Table::Users => self.user(out),
            Table::Posts => self.post(out),
            Table::Comments => self.comment(out),
        }
        self.next += 1;
        true
    }

    fn user(&mut self, out: &mut Vec<u8>) {
        let first = self.pick(|t| &t.first_names);
        let last = self.pick(|t| &t.last_names);
        let provider = self.pick(|t| &t.providers);
        let username = format!("{}{}", first.to_lowercase(), self.next);
        let email = format!("{username}@{provider}");
        out.extend_from_slice(&6_i16.to_be_bytes());
        put_id(self.next, out);
        put_text(&username, out);
        put_text(&email, out);
        put_text(&format!("{first} {last}"), out);
        self.prose(1, 3, out);
        self.time(out);
    }

    fn post(&mut self, out: &mut Vec<u8>) {
        let author = self.author();
        let title = self.pick(|t| &t.titles);
        let category = CATEGORIES[self.rng.usize(..CATEGORIES.len())];
        out.extend_from_slice(&6_i16.to_be_bytes());
        put_id(self.next, out);
        put_id(author, out);
        put_text(&title, out);
        self.prose(4, 14, out);
        put_text(category, out);
        self.time(out);
    }

    fn comment(&mut self, out: &mut Vec<u8>) {
        let post = self.rng.u64(1..=self.blog.size.posts.max(1));
        let author = self.author();
        out.extend_from_slice(&5_i16.to_be_bytes());
        put_id(self.next, out);
        put_id(post, out);
        put_id(author, out);
        self.prose(1, 2, out);
        self.time(out);
    }

    /// Some write much, most write little: the square of an even choice.
    fn author(&mut self) -> u64 {
        let users = self.blog.size.users.max(1);
        let x = self.rng.f64();
        ((x * x * users as f64) as u64).min(users - 1) + 1
    }

    fn pick(&mut self, of: impl Fn(&Texts) -> &Vec<String>) -> String {
        let all = of(&self.texts);
        all.get(self.rng.usize(..all.len().max(1))).cloned().unwrap_or_default()
    }

    /// Some sentences.
    fn prose(&mut self, least: usize, most: usize, out: &mut Vec<u8>) {
        self.scratch.clear();
        for at in 0..self.rng.usize(least..=most) {
            if at > 0 {
                self.scratch.push(' ');
            }
            let sentence = self.rng.usize(..self.texts.sentences.len());
            self.scratch.push_str(&self.texts.sentences[sentence]);
        }
        put_text(&self.scratch, out);
    }

    fn time(&mut self, out: &mut Vec<u8>) {
        let at = FROM_US + i64::try_from(self.rng.u64(..SPAN_US)).unwrap_or(0);
        out.extend_from_slice(&8_i32.to_be_bytes());
        out.extend_from_slice(&at.to_be_bytes());
    }
}

fn put_id(id: u64, out: &mut Vec<u8>) {
    out.extend_from_slice(&8_i32.to_be_bytes());
    out.extend_from_slice(&i64::try_from(id).unwrap_or(i64::MAX).to_be_bytes());
}

fn put_text(text: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(&i32::try_from(text.len()).unwrap_or(0).to_be_bytes());
    out.extend_from_slice(text.as_bytes());
}

#[cfg(test)]
mod tests {
    use std::hash::{DefaultHasher, Hash, Hasher};

    use super::*;
    use crate::BlogSize;

    const SMALL: BlogSize = BlogSize { users: 30, posts: 100, comments: 200 };

    /// The fields of every row.
    fn rows(table: Table, blog: Blog) -> Vec<Vec<Vec<u8>>> {
        let (mut source, mut rows, mut out) = (Rows::new(table, blog), Vec::new(), Vec::new());
        while source.put(&mut out) {
            let (mut at, mut fields) = (2, Vec::new());
            while at < out.len() {
                let length = i32::from_be_bytes(out[at..at + 4].try_into().unwrap()) as usize;
                fields.push(out[at + 4..at + 4 + length].to_vec());
                at += 4 + length;
            }
            assert_eq!(fields.len(), out[1] as usize);
            rows.push(fields);
            out.clear();
        }
        rows
    }

    fn id(field: &[u8]) -> u64 {
        u64::from_be_bytes(field.try_into().unwrap())
    }

    #[test]
    fn every_relation_leads_somewhere() {
        let blog = Blog { size: SMALL, seed: 1 };
        assert_eq!(rows(Table::Users, blog).len(), 30);
        let posts = rows(Table::Posts, blog);
        for (at, post) in posts.iter().enumerate() {
            assert_eq!(id(&post[0]), at as u64 + 1);
            assert!((1..=30).contains(&id(&post[1])));
            assert!((100..2000).contains(&post[3].len()), "{}", post[3].len());
        }
        for comment in rows(Table::Comments, blog) {
            assert!((1..=100).contains(&id(&comment[1])));
            assert!((1..=30).contains(&id(&comment[2])));
            assert!((15..400).contains(&comment[3].len()), "{}", comment[3].len());
        }
    }

    #[test]
    fn the_same_seed_gives_the_same_rows_and_another_gives_others() {
        let hash = |seed| {
            let mut hasher = DefaultHasher::new();
            for table in Table::ALL {
                rows(table, Blog { size: SMALL, seed }).hash(&mut hasher);
            }
            hasher.finish()
        };
        assert_eq!(hash(1), hash(1));
        assert_ne!(hash(1), hash(2));
        // Whoever changes this raises VERSION: data that is there would be taken for what it is not.
        let blog = Blog { size: SMALL, seed: 1 };
        let first = &rows(Table::Users, blog)[0];
        assert_eq!(String::from_utf8_lossy(&first[1]), "presley1");
        let sum =
            |table| rows(table, blog).concat().concat().iter().map(|b| u64::from(*b)).sum::<u64>();
        assert_eq!(Table::ALL.map(sum), [611_515, 7_292_251, 2_522_222]);
    }
}
