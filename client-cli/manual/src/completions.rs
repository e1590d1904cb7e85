//! What shells ask when Tab is pressed.

use clap_complete::{Generator, aot::generate, shells};

/// One shell's script, and where that shell looks for it.
pub(crate) struct Completion {
    pub(crate) folder: &'static str,
    pub(crate) name: String,
    pub(crate) script: Vec<u8>,
}

pub(crate) fn all(mut program: clap::Command) -> [Completion; 3] {
    let name = program.get_name().to_owned();
    let mut script = |shell: &dyn Generate| shell.script(&mut program, &name);
    [
        Completion {
            folder: "bash-completion/completions",
            script: script(&shells::Bash),
            name: name.clone(),
        },
        Completion {
            folder: "zsh/site-functions",
            script: script(&shells::Zsh),
            name: format!("_{name}"),
        },
        Completion {
            folder: "fish/vendor_completions.d",
            script: script(&shells::Fish),
            name: format!("{name}.fish"),
        },
    ]
}

/// A shell, whichever it is: `Generator` itself is not made to be a trait object.
trait Generate {
    fn script(&self, program: &mut clap::Command, name: &str) -> Vec<u8>;
}

impl<G: Generator + Copy> Generate for G {
    fn script(&self, program: &mut clap::Command, name: &str) -> Vec<u8> {
        let mut script = Vec::new();
        generate(*self, program, name, &mut script);
        script
    }
}
