//! Passphrases: from a file descriptor, from pinentry, or from the terminal without echo. Never from arguments or the
//! environment, where every process of the machine can read them.

use std::fs::{File, OpenOptions};
use std::io::{self, IsTerminal as _, Read as _, Write as _};
use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};

use rand_core::CryptoRng;
use secrecy::{ExposeSecret as _, SecretString};
use zeroize::Zeroizing;

use crate::files::FileError;
use crate::interrupt::{self, Interrupted};
use crate::output::COMMON;
use crate::secret_file::{self, SecretFileError};

/// The longest line that a file descriptor may give, in bytes.
pub const MAX_BYTES: usize = 1024;

/// The fewest characters of a new passphrase.
pub const MIN_CHARS: usize = 12;

/// The fewest different characters of a new passphrase: `aaaaaaaaaaaa` is long, too.
pub const MIN_DIFFERENT: usize = 6;

/// How often a person may try at a terminal.
const TRIES: usize = 3;

/// Letters and digits that are not taken for one another on paper: no 0 and o, no 1, i and l. 31 of them make 4.95
/// bits each. Letters in groups, since words would be taken for a codename.
const ALPHABET: &[u8; 31] = b"abcdefghjkmnpqrstuvwxyz23456789";

/// Groups of a passphrase made by [`generate`], and letters in each: 25 × 4.95 = 123 bits.
const GROUPS: usize = 5;

/// The arguments that say where passphrases come from; flatten them into the program's.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct PassphraseArgs {
    /// Read the passphrase from file descriptor N, one line of it
    #[arg(long, global = true, value_name = "N", help_heading = COMMON)]
    pub passphrase_fd: Option<u32>,
    /// Ask for passphrases in a window of pinentry, or of this program of its kind
    #[arg(long, global = true, value_name = "PROGRAM", num_args = 0..=1, require_equals = true, help_heading = COMMON)]
    pub pinentry: Option<Option<PathBuf>>,
}

/// Why there is no passphrase.
#[derive(Debug, thiserror::Error)]
pub enum PassphraseError {
    /// No terminal to ask at.
    #[error("there is no terminal to ask for the passphrase for {purpose}")]
    NoTerminal {
        /// What it is for.
        purpose: String,
    },
    /// The file descriptor cannot be read.
    #[error("cannot read file descriptor {fd}: {source}")]
    Fd {
        /// Which.
        fd: u32,
        /// What the system said.
        source: io::Error,
    },
    /// The file descriptor is the terminal, which would show it.
    #[error("file descriptor {fd} is a terminal, which would show the passphrase")]
    FdIsTerminal {
        /// Which.
        fd: u32,
    },
    /// An empty line, or none.
    #[error("the passphrase is empty")]
    Empty,
    /// Too long a line.
    #[error("the passphrase is longer than {MAX_BYTES} bytes, the limit")]
    TooLong,
    /// Not text.
    #[error("the passphrase is not UTF-8 text")]
    NotUtf8,
    /// Too easy to guess.
    #[error("the passphrase is too easy to guess: it needs {MIN_CHARS} characters, {MIN_DIFFERENT} of them different")]
    Weak,
    /// Two entries differed.
    #[error("the two passphrases differ")]
    Mismatch,
    /// There is no such pinentry.
    #[error("{} is not installed", program.display())]
    NoPinentry {
        /// Which program.
        program: PathBuf,
    },
    /// Pinentry failed, or its window was closed.
    #[error("pinentry gave no passphrase: {0}")]
    Pinentry(pinentry::Error),
    /// The terminal failed.
    #[error("cannot ask at the terminal: {0}")]
    Terminal(io::Error),
    /// Ctrl-C.
    #[error("{0}")]
    Interrupted(#[from] Interrupted),
}

impl PassphraseError {
    /// What to do next.
    pub fn next_step(&self) -> Option<String> {
        Some(match self {
            Self::NoTerminal { .. } => {
                "run it in a terminal, or hand the passphrase over with --passphrase-fd N".into()
            }
            Self::Fd { fd, .. } => format!("open it for reading in the shell, as in: {fd}<FILE"),
            Self::FdIsTerminal { .. } => "leave --passphrase-fd out to be asked without echo".into(),
            Self::Weak => "take a longer one, or leave it empty at the prompt to have one made".into(),
            Self::NoPinentry { .. } => "install pinentry, name another with --pinentry=PROGRAM, or leave it out".into(),
            Self::Empty => "run the command again, with the passphrase as the first line of what it reads".into(),
            Self::TooLong | Self::NotUtf8 | Self::Mismatch | Self::Pinentry(_) => "run the command again".into(),
            Self::Terminal(_) | Self::Interrupted(_) => return None,
        })
    }
}

impl PassphraseArgs {
    /// The passphrase of something that is there already. `purpose` completes "Passphrase for …".
    ///
    /// # Errors
    /// [`PassphraseError`].
    pub fn existing(&self, purpose: &str) -> Result<SecretString, PassphraseError> {
        self.ask(purpose, None)
    }

    /// A new passphrase: asked for twice, and refused if it is too easy to guess. At a terminal whoever enters nothing
    /// is given one, made with `rng`.
    ///
    /// # Errors
    /// [`PassphraseError`]; [`PassphraseError::Weak`] and [`PassphraseError::Mismatch`] after three tries.
    pub fn new_one<R: CryptoRng + ?Sized>(&self, purpose: &str, rng: &mut R) -> Result<SecretString, PassphraseError> {
        if let Some(fd) = self.passphrase_fd {
            return checked(read_fd(fd)?);
        }
        if let Some(program) = &self.pinentry {
            return new_from_pinentry(program.as_deref(), purpose);
        }
        let mut failure = PassphraseError::Empty;
        for _ in 0..TRIES {
            match new_from_terminal(purpose, rng) {
                Err(error @ (PassphraseError::Weak | PassphraseError::Mismatch)) => {
                    tell(&format!("{error}. Try again."))?;
                    failure = error;
                }
                result => return result,
            }
        }
        Err(failure)
    }

    /// Opens a wrapped file; at a terminal or with pinentry a wrong passphrase may be corrected, twice. Also gives
    /// back the passphrase, for writing the file again.
    ///
    /// # Errors
    /// [`PassphraseError`] and [`SecretFileError`].
    pub fn unlock(
        &self,
        path: &Path,
        purpose: &str,
        max_bytes: usize,
    ) -> anyhow::Result<(Zeroizing<Vec<u8>>, SecretString)> {
        // Nobody should type a passphrase only to learn that there is nothing to open.
        if !path.exists() {
            return Err(FileError::Missing { path: path.to_owned() }.into());
        }
        let mut tries = if self.passphrase_fd.is_some() { 1 } else { TRIES };
        let mut wrong = None;
        loop {
            let passphrase = self.ask(purpose, wrong.as_deref())?;
            tries -= 1;
            match secret_file::read_wrapped(path, &passphrase, max_bytes) {
                Err(SecretFileError::WrongPassphrase { .. }) if tries > 0 => {
                    let left = if tries == 1 {
                        "one try left".to_owned()
                    } else {
                        format!("{tries} tries left")
                    };
                    wrong = Some(format!("That is not the passphrase for {purpose}; {left}."));
                }
                result => return Ok((result?, passphrase)),
            }
        }
    }

    fn ask(&self, purpose: &str, wrong: Option<&str>) -> Result<SecretString, PassphraseError> {
        if let Some(fd) = self.passphrase_fd {
            return read_fd(fd);
        }
        if let Some(program) = &self.pinentry {
            let description = format!("Passphrase for {purpose}");
            return interact(program.as_deref(), |input| {
                input
                    .with_description(&description)
                    .with_prompt("Passphrase:")
                    .required("It is empty.");
                if let Some(wrong) = wrong {
                    input.with_error(wrong);
                }
                input.interact()
            });
        }
        if let Some(wrong) = wrong {
            tell(wrong)?;
        }
        let passphrase = prompt(purpose, &format!("Passphrase for {purpose}: "))?;
        if passphrase.expose_secret().is_empty() {
            Err(PassphraseError::Empty)
        } else {
            Ok(passphrase)
        }
    }
}

/// Makes a passphrase of five groups of five letters and digits, 123 bits, such as `k7mqx-3hvtd-…`.
pub fn generate<R: CryptoRng + ?Sized>(rng: &mut R) -> SecretString {
    let mut made = Zeroizing::new(String::with_capacity(GROUPS * 6));
    for letter in 0..GROUPS * 5 {
        if letter > 0 && letter % 5 == 0 {
            made.push('-');
        }
        made.push(char::from(ALPHABET[draw(rng)]));
    }
    SecretString::from(made.as_str())
}

/// Reads one line of at most [`MAX_BYTES`] from a file descriptor that the caller left open. Byte by byte, so that a
/// pipe can carry one passphrase per line.
///
/// # Errors
/// [`PassphraseError::Fd`], [`PassphraseError::FdIsTerminal`], [`PassphraseError::Empty`],
/// [`PassphraseError::TooLong`], [`PassphraseError::NotUtf8`].
pub fn read_fd(fd: u32) -> Result<SecretString, PassphraseError> {
    let failed = |source| PassphraseError::Fd { fd, source };
    if !was_handed_over(fd) {
        return Err(failed(io::Error::new(io::ErrorKind::NotFound, "it is not open")));
    }
    // Opening it by name is the way to a descriptor that needs no unsafe code. Stdin can be had without, and then may
    // be a pipe that another user made.
    let opened = match fd {
        0 => io::stdin().as_fd().try_clone_to_owned().map(File::from),
        _ => File::open(format!("/dev/fd/{fd}")),
    };
    let mut file = opened.map_err(failed)?;
    if file.is_terminal() {
        return Err(PassphraseError::FdIsTerminal { fd });
    }
    let mut line = Zeroizing::new(Vec::with_capacity(MAX_BYTES + 2));
    let mut byte = Zeroizing::new([0]);
    loop {
        interrupt::wait_readable(file.as_fd()).map_err(failed)?;
        if file.read(byte.as_mut_slice()).map_err(failed)? == 0 || byte[0] == b'\n' {
            break;
        }
        if line.len() == MAX_BYTES + 1 {
            return Err(PassphraseError::TooLong);
        }
        line.push(byte[0]);
    }
    let line = line.strip_suffix(b"\r").unwrap_or(&line);
    if line.len() > MAX_BYTES {
        return Err(PassphraseError::TooLong);
    }
    let text = std::str::from_utf8(line).map_err(|_| PassphraseError::NotUtf8)?;
    if text.is_empty() {
        Err(PassphraseError::Empty)
    } else {
        Ok(SecretString::from(text))
    }
}

/// Whether a descriptor came from whoever started the program. Those that the program opened itself are closed on exec,
/// and one of them, taken for a passphrase by a mistyped number, would be read for ever or to nobody's good.
fn was_handed_over(fd: u32) -> bool {
    const O_CLOEXEC: u64 = libc::O_CLOEXEC.unsigned_abs() as u64;
    let Ok(info) = std::fs::read_to_string(format!("/proc/self/fdinfo/{fd}")) else {
        return false;
    };
    let flags = info.lines().find_map(|line| line.strip_prefix("flags:"));
    flags
        .and_then(|flags| u64::from_str_radix(flags.trim(), 8).ok())
        .is_some_and(|flags| flags & O_CLOEXEC == 0)
}

/// An index into [`ALPHABET`], each as likely as the next: 248 is its largest multiple in a byte.
fn draw<R: CryptoRng + ?Sized>(rng: &mut R) -> usize {
    loop {
        let mut byte = [0];
        rng.fill_bytes(&mut byte);
        if byte[0] < 248 {
            return usize::from(byte[0]) % ALPHABET.len();
        }
    }
}

fn checked(passphrase: SecretString) -> Result<SecretString, PassphraseError> {
    let text = passphrase.expose_secret();
    // Which characters they are stays on the stack of this function: it is their number that matters.
    let different = text.char_indices().filter(|(at, c)| !text[..*at].contains(*c)).count();
    if text.len() > MAX_BYTES {
        return Err(PassphraseError::TooLong);
    }
    if text.chars().count() < MIN_CHARS || different < MIN_DIFFERENT {
        Err(PassphraseError::Weak)
    } else {
        Ok(passphrase)
    }
}

fn new_from_terminal<R: CryptoRng + ?Sized>(purpose: &str, rng: &mut R) -> Result<SecretString, PassphraseError> {
    let first = prompt(
        purpose,
        &format!("New passphrase for {purpose} ({MIN_CHARS} characters or more; empty to have one made): "),
    )?;
    if first.expose_secret().is_empty() {
        return made_at_terminal(purpose, rng);
    }
    let first = checked(first)?;
    let second = prompt(purpose, "The same again: ")?;
    if first.expose_secret() == second.expose_secret() {
        Ok(first)
    } else {
        Err(PassphraseError::Mismatch)
    }
}

fn made_at_terminal<R: CryptoRng + ?Sized>(purpose: &str, rng: &mut R) -> Result<SecretString, PassphraseError> {
    let made = generate(rng);
    let screen = OtherScreen::open()?;
    tell(&format!(
        "Write this passphrase for {purpose} on paper, and keep the paper apart from this computer:\n\n    {}\n\n\
         Nobody can find it again for you. This screen goes away once you have typed it.\n",
        made.expose_secret()
    ))?;
    for _ in 0..TRIES {
        let typed = prompt(purpose, "Type it, with its hyphens: ")?;
        if typed.expose_secret() == made.expose_secret() {
            drop(screen);
            tell("The passphrase is set.")?;
            return Ok(made);
        }
        tell("That is not the same.")?;
    }
    Err(PassphraseError::Mismatch)
}

/// The terminal's second screen, which leaves nothing to scroll back to.
struct OtherScreen {
    used: bool,
}

impl OtherScreen {
    fn open() -> Result<Self, PassphraseError> {
        let used = std::env::var_os("TERM").is_some_and(|term| term != "dumb");
        if used {
            write_terminal("\u{1b}[?1049h\u{1b}[H").map_err(PassphraseError::Terminal)?;
        }
        Ok(Self { used })
    }
}

impl Drop for OtherScreen {
    fn drop(&mut self) {
        if self.used {
            // Scrolled back or not, it is blank before it goes.
            let _ = write_terminal("\u{1b}[2J\u{1b}[?1049l");
        }
    }
}

fn new_from_pinentry(program: Option<&Path>, purpose: &str) -> Result<SecretString, PassphraseError> {
    let description = format!("New passphrase for {purpose}: {MIN_CHARS} characters or more");
    let mut weak = None;
    for _ in 0..TRIES {
        let given = interact(program, |input| {
            input
                .with_description(&description)
                .with_prompt("Passphrase:")
                .required("It is empty.");
            input.with_confirmation("Again:", "The two passphrases differ.");
            if weak.is_some() {
                input.with_error("That one is too easy to guess.");
            }
            input.interact()
        })?;
        match checked(given) {
            Err(error) => weak = Some(error),
            strong => return strong,
        }
    }
    Err(weak.unwrap_or(PassphraseError::Weak))
}

fn interact<'a>(
    program: Option<&Path>,
    ask: impl FnOnce(&mut pinentry::PassphraseInput<'a>) -> Result<SecretString, pinentry::Error>,
) -> Result<SecretString, PassphraseError> {
    let program = program.unwrap_or(Path::new("pinentry"));
    let mut input = pinentry::PassphraseInput::with_binary(program).ok_or_else(|| PassphraseError::NoPinentry {
        program: program.to_owned(),
    })?;
    let given = ask(&mut input);
    interrupt::check()?;
    given.map_err(PassphraseError::Pinentry)
}

/// Asks at the terminal for one line that is not shown, with `text` before it.
///
/// # Errors
/// [`PassphraseError`]; [`PassphraseError::Empty`] for nothing but Enter.
pub fn hidden_line(purpose: &str, text: &str) -> Result<SecretString, PassphraseError> {
    let typed = prompt(purpose, text)?;
    if typed.expose_secret().is_empty() {
        Err(PassphraseError::Empty)
    } else {
        Ok(typed)
    }
}

fn prompt(purpose: &str, text: &str) -> Result<SecretString, PassphraseError> {
    // The echo comes back when the prompt is dropped, so Ctrl-C must not end the process before.
    interrupt::install().map_err(PassphraseError::Terminal)?;
    interrupt::check()?;
    let typed = rpassword::prompt_password(text).map(Zeroizing::new);
    interrupt::check()?;
    match typed {
        Ok(typed) => Ok(SecretString::from(typed.as_str())),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Err(PassphraseError::Empty),
        Err(_) if terminal().is_err() => Err(PassphraseError::NoTerminal {
            purpose: purpose.to_owned(),
        }),
        Err(error) => Err(PassphraseError::Terminal(error)),
    }
}

fn tell(text: &str) -> Result<(), PassphraseError> {
    write_terminal(&format!("{text}\n")).map_err(PassphraseError::Terminal)
}

fn write_terminal(text: &str) -> io::Result<()> {
    terminal()?.write_all(text.as_bytes())
}

fn terminal() -> io::Result<File> {
    OpenOptions::new().write(true).open("/dev/tty")
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsRawFd as _;

    use super::*;

    /// A pipe that holds these bytes, as a shell would hand it over.
    fn pipe(bytes: &[u8]) -> io::PipeReader {
        let (reader, mut writer) = io::pipe().unwrap();
        rustix::io::fcntl_setfd(&reader, rustix::io::FdFlags::empty()).unwrap();
        writer.write_all(bytes).unwrap();
        reader
    }

    fn from_pipe(bytes: &[u8]) -> Result<String, PassphraseError> {
        let reader = pipe(bytes);
        read_fd(reader.as_raw_fd().unsigned_abs()).map(|passphrase| passphrase.expose_secret().to_owned())
    }

    #[test]
    fn one_line_is_read_and_only_its_line_end_is_cut() {
        assert_eq!(from_pipe(b"correct horse \n").unwrap(), "correct horse ");
        assert_eq!(from_pipe("پارول\r\nnext".as_bytes()).unwrap(), "پارول");
        assert_eq!(from_pipe(b"no line end").unwrap(), "no line end");
    }

    #[test]
    fn a_pipe_carries_one_passphrase_per_line() {
        let reader = pipe(b"first\nsecond\n");
        let fd = reader.as_raw_fd().unsigned_abs();
        assert_eq!(read_fd(fd).unwrap().expose_secret(), "first");
        assert_eq!(read_fd(fd).unwrap().expose_secret(), "second");
    }

    #[test]
    fn a_line_without_end_is_refused_at_the_limit() {
        assert_eq!(from_pipe(&[b'x'; MAX_BYTES]).unwrap().len(), MAX_BYTES);
        assert!(matches!(
            from_pipe(&[b'x'; MAX_BYTES + 1]),
            Err(PassphraseError::TooLong)
        ));
        assert!(matches!(from_pipe(&vec![b'x'; 20_000]), Err(PassphraseError::TooLong)));
        assert!(matches!(from_pipe(b"\n"), Err(PassphraseError::Empty)));
        assert!(matches!(from_pipe(b"\xff\xfe\n"), Err(PassphraseError::NotUtf8)));
    }

    #[test]
    fn a_closed_descriptor_is_named() {
        let error = read_fd(999).unwrap_err();
        assert!(error.to_string().contains("file descriptor 999"));
        assert!(error.next_step().unwrap().contains("999<FILE"));
    }

    #[test]
    fn a_descriptor_of_the_program_itself_is_not_read() {
        let (reader, mut writer) = io::pipe().unwrap();
        writer.write_all(b"from somewhere inside\n").unwrap();
        assert!(matches!(
            read_fd(reader.as_raw_fd().unsigned_abs()),
            Err(PassphraseError::Fd { .. })
        ));
    }

    #[test]
    fn easy_passphrases_are_refused() {
        for weak in ["", "short", "elevenchars", "aaaaaaaaaaaaaaaaaa", "abcabcabcabcabc"] {
            assert!(matches!(checked(weak.into()), Err(PassphraseError::Weak)), "{weak}");
        }
        for strong in [
            "twelve chars",
            "十二个字的口令也可以用在这里",
            "k7mqx-3hvtd-9ppz2-wwxyz-abcde",
        ] {
            assert!(checked(strong.into()).is_ok(), "{strong}");
        }
    }

    #[test]
    fn made_passphrases_have_the_promised_shape_and_strength() {
        let mut rng = getrandom::rand_core::UnwrapErr(getrandom::SysRng);
        let mut seen = std::collections::BTreeSet::new();
        for _ in 0..200 {
            let made = generate(&mut rng);
            let groups: Vec<&str> = made.expose_secret().split('-').collect();
            assert!(groups.len() == 5 && groups.iter().all(|group| group.len() == 5));
            seen.extend(made.expose_secret().bytes().filter(|byte| *byte != b'-'));
            assert!(checked(made).is_ok());
        }
        assert!(
            seen.iter()
                .eq(ALPHABET.iter().collect::<std::collections::BTreeSet<_>>()),
            "every letter comes up"
        );
        assert!(25.0 * f64::from(u8::try_from(ALPHABET.len()).unwrap()).log2() > 120.0);
    }

    #[test]
    fn a_passphrase_is_not_in_debug_output() {
        assert!(!format!("{:?}", SecretString::from("hunter2hunter2")).contains("hunter2"));
    }
}
