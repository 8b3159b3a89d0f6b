//! The plots, drawn on a bitmap and encoded as PNG.

mod canvas;
mod ladder;
mod lines;
mod memory;
mod pool;
mod scale;

pub(crate) use ladder::ladder;
pub(crate) use lines::{Over, over_users};
pub(crate) use memory::{has_memory, memory};
pub(crate) use pool::pool;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture;

    #[test]
    fn the_plot_is_a_png_of_its_size_and_the_same_each_time() {
        let result = fixture::ladder();
        let png = ladder(&result).unwrap();
        assert_eq!(&png[..8], b"\x89PNG\r\n\x1a\n");
        let width = u32::from_be_bytes(png[16..20].try_into().unwrap());
        assert_eq!(width, canvas::WIDTH);
        let height = u32::from_be_bytes(png[20..24].try_into().unwrap());
        assert!(height > 500 && height < width, "{height}");
        assert_eq!(png, ladder(&result).unwrap());
    }

    #[test]
    fn spoilt_results_still_make_a_picture() {
        let mut empty = fixture::ladder();
        empty.variants.clear();
        for result in
            [fixture::interrupted(), fixture::hostile(), fixture::open(), fixture::bare(), empty]
        {
            assert!(ladder(&result).unwrap().len() > 1000);
        }
    }
}
