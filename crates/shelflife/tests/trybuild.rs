//! What the compiler says of a wrong `#[cached]`, and programs of their own.

#[test]
fn wrong_attributes_are_compile_errors_that_point_at_them() {
    let cases = trybuild::TestCases::new();
    cases.compile_fail("tests/ui/*.rs");
    cases.pass("tests/ui/pass/*.rs");
}
