pub(crate) fn measure(_: usize) {}
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
pub(crate) enum Pass {
    Seal,
}
pub(crate) fn pass(_: Pass, _: &std::path::Path) {}
