//! The index finds what a look at every attachment finds.

use proptest::prelude::*;

use super::support::{answer, config, context, engine, request, requested};

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn index_and_plain_scan_agree(
        config in config(),
        requests in prop::collection::vec((context(), requested()), 24),
    ) {
        let engine = engine(&config);
        for (context, names) in requests {
            let request = request(&context, &names);
            let (found, scanned) = (engine.resolve(&request), engine.resolve_by_scan(&request));
            prop_assert_eq!(answer(&found), answer(&scanned), "{} {:?}", context, names);
            prop_assert_eq!(&found.unknown, &scanned.unknown);
        }
    }
}
