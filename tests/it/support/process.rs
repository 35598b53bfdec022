//! Processes that do not outlive the test.

use std::io::Write;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};

/// A child process and a guard beside it: when the test process ends in whatever way, the child is killed and
/// its directory removed. Dropping this does both in order.
pub struct Tied {
    child: Child,
    guard: Child,
}

// The guard waits for a line on its input. A line means that all is in order; end of input that the test process is gone.
const GUARD: &str = r#"
if read -r line; then exit 0; fi
kill -"$1" "$2" 2>/dev/null
n=0; while kill -0 "$2" 2>/dev/null && [ $n -lt 100 ]; do sleep 0.1; n=$((n+1)); done
kill -KILL "$2" 2>/dev/null
[ -z "$3" ] || rm -rf "$3"
"#;

impl Tied {
    /// Starts `command`. `signal` (such as `QUIT`) ends it should the test die; `dir` is removed then.
    pub fn spawn(command: &mut Command, signal: &str, dir: Option<&Path>) -> Tied {
        let child = command.spawn().unwrap_or_else(|e| panic!("cannot start {command:?}: {e}"));
        let guard = Command::new("setsid")
            .args(["sh", "-c", GUARD, "guard", signal, &child.id().to_string()])
            .arg(dir.map(Path::as_os_str).unwrap_or_default())
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("setsid and sh are part of every Debian");
        Tied { child, guard }
    }

    /// Sends a signal, as `kill` names it.
    pub fn signal(&self, name: &str) {
        let status = Command::new("kill").args([&format!("-{name}"), &self.child.id().to_string()]).status().unwrap();
        assert!(status.success(), "kill -{name}");
    }

    /// How it ended, if it has.
    pub fn exited(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().unwrap()
    }

    /// Waits until it ends; panics when it does not.
    pub fn wait(&mut self) -> ExitStatus {
        super::eventually("the process ends", || self.child.try_wait().unwrap())
    }

    /// Process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Ends it with `signal` and waits; kills it when that takes too long.
    pub fn stop(&mut self, signal: &str) {
        if self.exited().is_some() {
            return;
        }
        let _ = Command::new("kill").args([&format!("-{signal}"), &self.child.id().to_string()]).status();
        for _ in 0..500 {
            if self.exited().is_some() {
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Tied {
    fn drop(&mut self) {
        if self.exited().is_none() {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
        if let Some(mut input) = self.guard.stdin.take() {
            let _ = input.write_all(b"done\n");
        }
        let _ = self.guard.wait();
    }
}

/// Output of a finished command.
pub struct Output {
    /// Exit code; 0 is success.
    pub code: i32,
    /// Standard output.
    pub out: String,
    /// Standard error.
    pub err: String,
}

impl Output {
    /// Standard output of a command that must have succeeded.
    #[track_caller]
    pub fn ok(self) -> String {
        assert!(self.code == 0, "exit code {}\nstdout: {}\nstderr: {}", self.code, self.out, self.err);
        self.out
    }

    /// Standard error of a command that must have failed.
    #[track_caller]
    pub fn failed(self) -> String {
        assert!(self.code != 0, "should have failed\nstdout: {}\nstderr: {}", self.out, self.err);
        self.err
    }
}

/// Runs a command to its end, with `input` on its standard input.
pub fn run(command: &mut Command, input: &str) -> Output {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap_or_else(|e| panic!("cannot start {command:?}: {e}"));
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_owned();
    let writer = std::thread::spawn(move || {
        let _ = stdin.write_all(input.as_bytes());
    });
    let output = child.wait_with_output().unwrap();
    let _ = writer.join();
    Output {
        code: output.status.code().unwrap_or(-1),
        out: String::from_utf8_lossy(&output.stdout).into_owned(),
        err: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}
