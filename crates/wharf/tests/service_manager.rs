//! Serves as a service of `Type=notify`, under a service manager that is this test.

use std::os::unix::net::UnixDatagram;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

/// Ends the service with the test.
struct Service(Child);

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn next(socket: &UnixDatagram) -> String {
    let mut buffer = [0; 256];
    let length = socket.recv(&mut buffer).expect("a message in time");
    String::from_utf8_lossy(&buffer[..length]).trim().to_owned()
}

#[test]
fn the_service_manager_hears_ready_alive_reloading_and_stopping() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("notify");
    let socket = UnixDatagram::bind(&path).expect("a socket");
    socket.set_read_timeout(Some(Duration::from_secs(60))).expect("set");

    let mut command = Command::new(env!("CARGO_BIN_EXE_wharf"));
    command.env_clear().env("NOTIFY_SOCKET", &path).env("WATCHDOG_USEC", "100000").arg("serve");
    command.env("WHARF_STORAGE_ROOTDIRECTORY", directory.path().join("data")).env("WHARF_HTTP_PORT", "0");
    let mut service = Service(command.stdout(Stdio::null()).spawn().expect("wharf runs"));

    assert_eq!(next(&socket), "READY=1");
    for _ in 0..3 {
        assert_eq!(next(&socket), "WATCHDOG=1");
    }
    let pid = i32::try_from(service.0.id()).ok().and_then(Pid::from_raw).expect("a process id");
    let other = || std::iter::repeat_with(|| next(&socket)).find(|message| message != "WATCHDOG=1").expect("endless");
    kill_process(pid, Signal::HUP).expect("signalled");
    let reloading = other();
    assert!(reloading.starts_with("RELOADING=1\nMONOTONIC_USEC="), "{reloading}");
    assert_eq!(other(), "READY=1");
    kill_process(pid, Signal::TERM).expect("signalled");
    assert_eq!(other(), "STOPPING=1");
    assert!(service.0.wait().expect("ended").success());
}
