//! Every contender does what it is measured for.

use benches::works;

#[test]
fn every_contender_proves_its_work() {
    for work in works() {
        let expected = work.expected.make();
        assert!(!expected.is_empty(), "{}", work.name);
        for mut contender in work.contenders.make() {
            let name = contender.name;
            let Some(proof) = contender.prove() else {
                continue;
            };
            assert_eq!(proof.len(), expected.len(), "{}, {name}", work.name);
            for (found, expected) in proof.iter().zip(&expected) {
                assert_eq!(found, expected, "{}, {name}", work.name);
            }
        }
    }
}
