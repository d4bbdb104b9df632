//! One backend has one identity: through kills, races of processes and files of other programs.
//!
//! The children are this test binary itself, started again with a variable that says what to do.

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use openclaw_adapter::store::StoreErrorKind;
use openclaw_adapter::{
    DeviceIdentity, DeviceToken, Endpoint, FileStore, GatewayKey, IdentityStore as _, StoreError,
    Token,
};
use openclaw_tests::tier;

use super::alone;

/// What a child has to do: `start` or `race`.
const DUTY: &str = "OPENCLAW_TEST_IDENTITY_DUTY";
const STATE_DIR: &str = "OPENCLAW_TEST_IDENTITY_STATE_DIR";
/// The role under which a child stores its token.
const ROLE: &str = "OPENCLAW_TEST_IDENTITY_ROLE";
const CHILD: &str = "identity::child_process";
const ID_MARK: &str = "device id ";
/// Longer than anything here takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);

const REAL: &str =
    include_str!("../../adapter/tests/fixtures/identity/openclaw-2026.2.9-device.json");

/// Does nothing in an ordinary run; in a child it is the whole process.
#[test]
fn child_process() {
    let (Ok(duty), Ok(state_dir)) = (std::env::var(DUTY), std::env::var(STATE_DIR)) else {
        return;
    };
    let store = FileStore::new(state_dir);
    if duty == "race" {
        println!("waiting");
        std::io::stdin().read_line(&mut String::new()).unwrap();
    }
    let identity = patiently(|| store.load_or_create(&mut || DeviceIdentity::generate(1)));
    println!("{ID_MARK}{}", identity.id());
    let role = std::env::var(ROLE).unwrap_or_else(|_| "operator".to_owned());
    for round in 1_u64.. {
        let token = Token::new(format!("token-{round}")).unwrap();
        let token = DeviceToken::new(token, &role, Vec::new(), round);
        patiently(|| store.put_token(&gateway(), identity.id(), &token));
        if duty == "race" {
            return;
        }
    }
}

/// Does it again while others hold the lock, as a backend does. The store waits for them a bounded time only.
fn patiently<T>(mut change: impl FnMut() -> Result<T, StoreError>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match change() {
            Err(error) if error.kind() == StoreErrorKind::Busy && Instant::now() < deadline => {}
            other => return other.unwrap(),
        }
    }
}

fn gateway() -> GatewayKey {
    Endpoint::parse("ws://gateway:18789").unwrap().key()
}

/// A child that is killed and waited for when it is dropped.
struct Process(Child);

impl Process {
    fn start(duty: &str, state_dir: &Path, role: &str) -> Self {
        let child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", CHILD, "--nocapture"])
            .env(DUTY, duty)
            .env(STATE_DIR, state_dir)
            .env(ROLE, role)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .unwrap();
        Self(child)
    }

    /// Kills it with SIGKILL and gives the identity it said it has, if it came so far.
    fn kill(mut self) -> Option<String> {
        self.0.kill().unwrap();
        let mut said = String::new();
        self.0
            .stdout
            .take()
            .unwrap()
            .read_to_string(&mut said)
            .unwrap();
        said.lines().find_map(id_in)
    }

    fn wait(&mut self) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            match self.0.try_wait().unwrap() {
                Some(status) => {
                    assert!(status.success(), "a child failed: {status}");
                    return;
                }
                None => assert!(Instant::now() < deadline, "a child does not end"),
            }
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The id in a line of a child; the test harness may have written something in front of it.
fn id_in(line: &str) -> Option<String> {
    let at = line.find(ID_MARK)? + ID_MARK.len();
    line.get(at..at + 64).map(str::to_owned)
}

fn random_below(limit: Duration) -> Duration {
    let mut bytes = [0; 8];
    getrandom::fill(&mut bytes).unwrap();
    let limit = u64::try_from(limit.as_micros()).unwrap().max(1);
    Duration::from_micros(u64::from_le_bytes(bytes) % limit)
}

/// Checks everything a kill could have spoiled, and gives the identity that is there.
fn inspect(store: &FileStore) -> Option<String> {
    let identity = store
        .load()
        .unwrap_or_else(|error| panic!("{error}\n{}", error.fix()));
    if let Some(identity) = &identity {
        let memo = store.gateway(&gateway(), identity.id()).unwrap();
        if let Some(token) = memo.token("operator") {
            let value = format!("token-{}", token.updated_at_ms());
            assert_eq!(
                token.token().expose_secret(),
                value,
                "half of a token was replaced"
            );
        }
    }
    let inner = store.state_dir().join("identity");
    for entry in fs::read_dir(inner).into_iter().flatten() {
        let entry = entry.unwrap();
        let mode = entry.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "{}", entry.path().display());
    }
    identity.map(|identity| identity.id().to_string())
}

/// How long a child takes from its start to its identity.
fn time_of_a_start(root: &Path) -> Duration {
    let begin = Instant::now();
    let mut child = Process::start("start", &root.join("measured"), "operator");
    let said = BufReader::new(child.0.stdout.take().unwrap());
    assert!(
        said.lines().any(|line| id_in(&line.unwrap()).is_some()),
        "no identity was made"
    );
    begin.elapsed()
}

#[test]
fn kills_at_start_up_never_cost_or_double_the_identity() {
    // So many processes use one state directory; each first one may die while it makes the identity.
    const PROCESSES: u64 = 2;
    let _alone = alone();
    let kills = tier::size("KILLS", 20, 200);
    let begin = Instant::now();
    let root = tempfile::tempdir().unwrap();
    let mut window = time_of_a_start(root.path());
    let (mut before, mut after) = (0, 0);
    for backend in 0..kills / PROCESSES {
        let store = FileStore::new(root.path().join(backend.to_string()));
        let mut seen = BTreeSet::new();
        for _ in 0..PROCESSES {
            let child = Process::start("start", store.state_dir(), "operator");
            // The moment of the kill, not a wait for something: from before the first file to the
            // replacing of tokens.
            std::thread::sleep(window / 2 + random_below(window));
            let said = child.kill();
            let stored = inspect(&store);
            // Stays around the moment of creation, however fast the machine is just now.
            window = if stored.is_some() {
                window * 15 / 16
            } else {
                window * 5 / 4
            };
            assert!(
                said.is_none() || said == stored,
                "{said:?} was in use, {stored:?} is stored"
            );
            assert!(stored.is_some() || seen.is_empty(), "the identity is gone");
            if stored.is_some() {
                after += 1;
            } else {
                before += 1;
            }
            seen.extend(stored);
            assert!(seen.len() <= 1, "two identities: {seen:?}");
        }
        let next = store
            .load_or_create(&mut || DeviceIdentity::generate(2))
            .unwrap();
        seen.insert(next.id().to_string());
        assert_eq!(seen.len(), 1, "{seen:?}");
    }
    println!(
        "{before} kills before there was an identity, {after} after, {:?}",
        begin.elapsed()
    );
}

#[test]
fn sixteen_processes_that_start_at_once_share_one_identity_and_lose_no_token() {
    const PROCESSES: usize = 16;
    let _alone = alone();
    let root = tempfile::tempdir().unwrap();
    for round in 0..tier::size("RACES", 1, 3) {
        let store = FileStore::new(root.path().join(round.to_string()));
        let roles: Vec<_> = (0..PROCESSES)
            .map(|index| format!("role-{index}"))
            .collect();
        let mut children: Vec<_> = roles
            .iter()
            .map(|role| {
                let mut child = Process::start("race", store.state_dir(), role);
                let said = BufReader::new(child.0.stdout.take().unwrap());
                (child, said)
            })
            .collect();
        for (_, said) in &mut children {
            let mut line = String::new();
            while !line.contains("waiting") {
                line.clear();
                assert_ne!(said.read_line(&mut line).unwrap(), 0, "a child ended early");
            }
        }
        for (child, _) in &mut children {
            child.0.stdin.take().unwrap().write_all(b"\n").unwrap();
        }
        let mut ids = BTreeSet::new();
        for (child, said) in &mut children {
            let line = said
                .lines()
                .map(Result::unwrap)
                .find_map(|line| id_in(&line));
            ids.insert(line.expect("a child has no identity"));
            child.wait();
        }
        let stored = store.load().unwrap().unwrap();
        assert_eq!(ids, BTreeSet::from([stored.id().to_string()]));
        let memo = store.gateway(&gateway(), stored.id()).unwrap();
        let missing: Vec<_> = roles
            .iter()
            .filter(|role| memo.token(role).is_none())
            .collect();
        assert!(missing.is_empty(), "lost: {missing:?}");
    }
}

/// A state directory as a person makes it who moves an identity here.
fn moved_here(root: &Path, mode: u32) -> (FileStore, PathBuf) {
    let store = FileStore::new(root.join("state"));
    let inner = store.state_dir().join("identity");
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(&inner)
        .unwrap();
    let path = store.identity_path();
    let mut file = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(&path)
        .unwrap();
    file.write_all(REAL.as_bytes()).unwrap();
    (store, path)
}

#[test]
fn the_identity_of_a_real_openclaw_cli_is_used_as_it_is() {
    let root = tempfile::tempdir().unwrap();
    let (store, path) = moved_here(root.path(), 0o600);
    let identity = store
        .load_or_create(&mut || panic!("there is one"))
        .unwrap();
    assert_eq!(
        identity.id().as_str(),
        "91b58c3b186479895821e16dc88f5bfec1db5db7e147c7a31dfa8a123c75a9a1"
    );
    let token = DeviceToken::new(Token::new("t").unwrap(), "operator", Vec::new(), 1);
    store.put_token(&gateway(), identity.id(), &token).unwrap();
    assert_eq!(fs::read_to_string(path).unwrap(), REAL);
}

#[test]
fn an_identity_that_others_may_read_is_refused_until_the_command_was_run() {
    let root = tempfile::tempdir().unwrap();
    let (store, path) = moved_here(root.path(), 0o644);
    let error = store
        .load_or_create(&mut || panic!("there is one"))
        .unwrap_err();
    let fix = error.fix();
    assert_eq!(fix, format!("chmod 600 {}", path.display()));
    assert!(
        Command::new("sh")
            .args(["-c", &fix])
            .status()
            .unwrap()
            .success()
    );
    assert!(store.load().unwrap().is_some());
}
