//! OpenLDAP: a real directory on loopback.

use std::path::PathBuf;
use std::process::Command;

use crate::lab::Lab;
use crate::ports::Port;
use crate::process::Process;
use crate::{tools, wait};

/// Where its entries are.
pub const BASE: &str = "dc=example,dc=org";
/// Below this, users.
pub const PEOPLE: &str = "ou=people,dc=example,dc=org";
/// Who may search.
pub const SEARCHER: &str = "cn=searcher,dc=example,dc=org";
/// Its password.
pub const SEARCHER_PASSWORD: &str = "s3archer-of-the-tests";

/// Who may change it, and the password of that.
const ROOT: &str = "cn=root,dc=example,dc=org";
const ROOT_PASSWORD: &str = "r00t-of-the-tests";

/// A running directory.
#[derive(Debug)]
pub struct Directory {
    process: Process,
    port: Port,
    /// The certificate that vouches for it.
    pub authority: PathBuf,
}

impl Directory {
    /// Starts it with these users: name, password and group. Whoever is in the group `left` is one of another branch.
    pub async fn start(lab: &Lab, users: &[(&str, &str, &str)]) -> Self {
        let port = Port::claim();
        let data = lab.directory("slapd");
        let (certificate, key) = certificate(lab);
        let schema = |name: &str| format!("include /etc/ldap/schema/{name}.schema\n");
        let config = format!(
            "{}modulepath /usr/lib/ldap\nmoduleload back_mdb\n\
             TLSCertificateFile {}\nTLSCertificateKeyFile {}\n\
             database mdb\nmaxsize 10485760\nsuffix \"{BASE}\"\nrootdn \"{ROOT}\"\nrootpw {ROOT_PASSWORD}\ndirectory {}\n\
             access to attrs=userPassword by anonymous auth by * none\n\
             access to * by dn.exact=\"{SEARCHER}\" read by self read by * auth\n",
            ["core", "cosine", "inetorgperson"].map(schema).concat(),
            certificate.display(),
            key.display(),
            data.display(),
        );
        let config = lab.file("slapd.conf", &config);
        let entries = lab.file("slapd.ldif", &entries(users));
        tools::run(Command::new(tools::find("slapadd")).arg("-f").arg(&config).arg("-l").arg(&entries));
        let mut command = Command::new(tools::find("slapd"));
        command.arg("-f").arg(&config).args(["-d", "0", "-h", &format!("ldap://{}/", port.address())]);
        let mut directory =
            Self { process: Process::start("slapd", &command, &lab.log("slapd")), port, authority: certificate };
        wait::until("the directory listens", wait::START, async || {
            directory.process.assert_alive();
            tokio::net::TcpStream::connect(directory.port.address()).await.is_ok()
        })
        .await;
        directory
    }

    /// Changes a user, by lines of LDIF.
    pub fn modify(&self, lab: &Lab, user: &str, change: &str) {
        let change = format!("dn: uid={user},{PEOPLE}\nchangetype: modify\n{change}\n");
        let file = lab.file("change.ldif", &change);
        let mut command = Command::new(tools::find("ldapmodify"));
        command.args(["-x", "-H", &format!("ldap://{}/", self.port.address()), "-D", ROOT, "-w", ROOT_PASSWORD, "-f"]);
        tools::run(command.arg(file));
    }

    /// Its port on loopback.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port.number()
    }

    /// Ends it.
    pub fn kill(&mut self) {
        self.process.kill();
    }
}

fn entries(users: &[(&str, &str, &str)]) -> String {
    let searcher = format!(
        "dn: {SEARCHER}\nobjectClass: organizationalRole\nobjectClass: simpleSecurityObject\ncn: searcher\n\
         userPassword: {SEARCHER_PASSWORD}\n\n"
    );
    let branches =
        ["people", "left"].map(|name| format!("dn: ou={name},{BASE}\nobjectClass: organizationalUnit\nou: {name}\n\n"));
    let people = users.iter().map(|(name, password, group)| {
        let branch = if *group == "left" { "left" } else { "people" };
        format!(
            "dn: uid={name},ou={branch},{BASE}\nobjectClass: inetOrgPerson\nuid: {name}\ncn: {name}\nsn: {name}\n\
             departmentNumber: {group}\nuserPassword: {password}\n\n"
        )
    });
    let base = format!("dn: {BASE}\nobjectClass: dcObject\nobjectClass: organization\ndc: example\no: example\n\n");
    [base, searcher].into_iter().chain(branches).chain(people).collect()
}

/// A certificate for `localhost`, which vouches for itself, and its key.
fn certificate(lab: &Lab) -> (PathBuf, PathBuf) {
    let (certificate, key) = (lab.path().join("slapd.pem"), lab.path().join("slapd.key"));
    let mut command = Command::new(tools::find("openssl"));
    command
        .args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"])
        .args(["-addext", "subjectAltName=DNS:localhost", "-addext", "basicConstraints=critical,CA:FALSE"])
        .arg("-keyout")
        .arg(&key)
        .arg("-out")
        .arg(&certificate);
    tools::run(&mut command);
    (certificate, key)
}
