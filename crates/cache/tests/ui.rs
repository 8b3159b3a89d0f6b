//! Mistakes in `#[cached]` and `key!` are pointed at where they are.

#[test]
fn mistakes_are_pointed_at() {
    let cases = trybuild::TestCases::new();
    cases.compile_fail("tests/ui/*.rs");
}
