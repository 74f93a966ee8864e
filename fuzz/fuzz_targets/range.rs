//! Ranges lie within the content, whatever was asked for.

#![no_main]

use libfuzzer_sys::fuzz_target;
use wharf_oci::{ByteRange, ContentRange, InvalidRange};

fuzz_target!(|input: (u64, &str)| {
    let (size, text) = input;
    if let Ok(range) = text.parse::<ByteRange>() {
        let again = match range {
            ByteRange::FromTo(first, last) => format!("bytes={first}-{last}"),
            ByteRange::From(first) => format!("bytes={first}-"),
            ByteRange::Last(length) => format!("bytes=-{length}"),
        };
        assert_eq!(again.parse(), Ok(range));
        match range.within(size) {
            Ok(part) => {
                assert!(part.start < part.end && part.end <= size);
                match range {
                    ByteRange::FromTo(first, last) => assert!(part.start == first && part.end - 1 <= last),
                    ByteRange::From(first) => assert_eq!(part, first..size),
                    ByteRange::Last(length) => assert!(part.end == size && part.end - part.start <= length),
                }
            }
            Err(why) => assert_eq!(why, InvalidRange::Unsatisfiable),
        }
    }
    if let Ok(range) = text.parse::<ContentRange>() {
        assert!(range.first <= range.last && range.length() > 0);
        assert_eq!(format!("{}-{}", range.first, range.last).parse(), Ok(range));
        assert_eq!(format!("bytes {}-{}/{size}", range.first, range.last).parse(), Ok(range));
    }
});
