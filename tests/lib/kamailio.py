"""tests/lib/kamailio.py: Kamailio as a small PBX for tests: registrar with passwords, and a proxy that stays in the way of each call. Every
user's password is `secret`. It knows no extension but those that have registered."""
import os
import shutil
import socket
import subprocess
import tempfile

from sluice import free_port, skip, wait_for

MODULES = 'mpath="/usr/lib/x86_64-linux-gnu/kamailio/modules/:/usr/lib/aarch64-linux-gnu/kamailio/modules/:/usr/lib/kamailio/modules/"'
CONF = """
debug=1
log_stderror=yes
log_facility=LOG_LOCAL0
children=2
disable_tcp=yes
listen=udp:127.0.0.1:PORT
alias="pbx.test"
MODULES
loadmodule "sl.so"
loadmodule "tm.so"
loadmodule "rr.so"
loadmodule "pv.so"
loadmodule "maxfwd.so"
loadmodule "usrloc.so"
loadmodule "registrar.so"
loadmodule "textops.so"
loadmodule "siputils.so"
loadmodule "auth.so"
loadmodule "ctl.so"
modparam("ctl", "binrpc", "unix:DIR/ctl")
modparam("registrar", "min_expires", MIN_EXPIRES)
modparam("registrar", "max_contacts", 10)
PRESENCE
request_route {
	if (!mf_process_maxfwd_header("10")) {
		sl_send_reply("483", "Too Many Hops");
		exit;
	}
	if (is_method("OPTIONS") && uri==myself) {
		sl_send_reply("200", "OK");
		exit;
	}
	if (is_method("CANCEL")) {
		if (t_check_trans())
			t_relay();
		exit;
	}
	if (has_totag()) {
		EVENTS
		if (loose_route()) {
			t_relay();
			exit;
		}
		if (is_method("ACK") && t_check_trans())
			t_relay();
		else if (!is_method("ACK"))
			sl_send_reply("404", "Not here");
		exit;
	}
	t_check_trans();
	if (is_method("REGISTER")) {
		if (!pv_www_authenticate("pbx.test", "secret", "0")) {
			www_challenge("pbx.test", "0");
			exit;
		}
		if (!save("location"))
			sl_reply_error();
		exit;
	}
	EVENTS
	if (!is_method("INVITE|MESSAGE")) {
		sl_send_reply("405", "Method Not Allowed");
		exit;
	}
	if (!pv_proxy_authenticate("pbx.test", "secret", "0")) {
		proxy_challenge("pbx.test", "0");
		exit;
	}
	consume_credentials();
	record_route();
	if (!lookup("location")) {
		sl_send_reply("404", "Not Found");
		exit;
	}
	t_relay();
}
"""

# Its presence server, with tables as files
PRESENCE = """
loadmodule "db_text.so"
loadmodule "presence.so"
loadmodule "presence_xml.so"
loadmodule "presence_dialoginfo.so"
loadmodule "presence_mwi.so"
modparam("db_text", "db_mode", 0)
modparam("presence", "db_url", "text://DIR/tables")
modparam("presence", "server_address", "sip:127.0.0.1:PORT")
modparam("presence_xml", "db_url", "text://DIR/tables")
modparam("presence_xml", "force_active", 1)
"""
EVENTS = """
	if (is_method("PUBLISH|SUBSCRIBE")) {
		if (!t_newtran())
			exit;
		if (is_method("PUBLISH"))
			handle_publish();
		else
			handle_subscribe();
		exit;
	}
"""


HELLO = """OPTIONS sip:127.0.0.1:PORT SIP/2.0\r
Via: SIP/2.0/UDP 127.0.0.1:9;branch=z9hG4bKhello;rport\r
From: <sip:test@127.0.0.1>;tag=1\r
To: <sip:127.0.0.1>\r
Call-ID: hello@127.0.0.1\r
CSeq: 1 OPTIONS\r
Max-Forwards: 10\r
Content-Length: 0\r
\r
"""


class Kamailio:
    def __init__(self, min_expires=60, presence=False):
        if not shutil.which("kamailio") and not os.path.exists("/usr/sbin/kamailio"):
            skip("kamailio is not installed")
        self.dir = tempfile.mkdtemp(prefix="kamailio-", dir=os.environ.get("TEST_TMP"))
        self.number = free_port()
        with open(os.path.join(self.dir, "conf"), "w") as f:
            text = CONF.replace("MODULES", MODULES).replace("EVENTS", EVENTS if presence else "").replace("PRESENCE", PRESENCE if presence else "")
            f.write(text.replace("PORT", str(self.number)).replace("MIN_EXPIRES", str(min_expires)).replace("DIR", self.dir))
        if presence:
            shutil.copytree("/usr/share/kamailio/dbtext/kamailio", os.path.join(self.dir, "tables"))
        self.log = open(os.path.join(self.dir, "log"), "wb")
        self.proc = None

    def port(self, _):
        """As a server's for Baresip."""
        return self.number

    def contacts(self, user):
        """The contacts that are registered for a user."""
        out = subprocess.run(["/usr/sbin/kamcmd", "-s", f"unix:{self.dir}/ctl", "ul.lookup", "location", f"s:{user}"], capture_output=True, text=True)
        return [line.split("Address:")[1].strip() for line in out.stdout.splitlines() if "Address:" in line]

    def __enter__(self):
        self.start()
        return self

    def start(self):
        self.proc = subprocess.Popen(["/usr/sbin/kamailio", "-DD", "-E", "-m", "64", "-M", "8", "-f", os.path.join(self.dir, "conf"), "-P",
                                      os.path.join(self.dir, "pid"), "-Y", self.dir], stdout=self.log, stderr=self.log, cwd=self.dir)

        def up():
            assert self.proc.poll() is None, open(os.path.join(self.dir, "log"), errors="replace").read()[-3000:]
            sock.sendto(HELLO.replace("PORT", str(self.number)).encode(), ("127.0.0.1", self.number))
            try:
                return sock.recv(2000).startswith(b"SIP/2.0")
            except (TimeoutError, ConnectionError):
                return False
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.settimeout(0.2)
            wait_for(up, "Kamailio", 20)

    def stop(self):
        self.proc.terminate()
        self.proc.wait(20)

    def __exit__(self, *exc):
        self.stop()
        self.log.close()
        shutil.rmtree(self.dir, ignore_errors=True)


STOCK = "/etc/kamailio/kamailio.cfg"
LOCAL = """
#!define WITH_AUTH
#!define WITH_IPAUTH
#!define WITH_USRLOCDB
#!define DBURL "text://DIR/tables"
MODULES
loadmodule "db_text.so"
listen=udp:127.0.0.1:PORT
alias="pbx.test"
"""


class StockKamailio(Kamailio):
    """With the configuration that comes with it: what our recipe says of it is switched on in kamailio-local.cfg, its tables are files, and nothing
    else is changed. `trusted` are addresses of its table `address`."""

    def __init__(self, users, trusted=()):
        super().__init__()
        if not os.path.exists(STOCK):
            skip("the configuration of Kamailio's package is not there")
        tables = os.path.join(self.dir, "tables")
        shutil.copytree("/usr/share/kamailio/dbtext/kamailio", tables)
        with open(os.path.join(tables, "subscriber"), "a") as f:
            f.writelines(f"{n}:{user}:pbx.test:secret:x:x\n" for n, user in enumerate(users, 1))
        with open(os.path.join(tables, "address"), "a") as f:
            f.writelines(f"{n}:1:{ip}:32:0:sluice\n" for n, ip in enumerate(trusted, 1))
        with open(STOCK) as f:
            text = f.read()
        with open(os.path.join(self.dir, "conf"), "w") as f:
            f.write(text + f'\nmodparam("ctl", "binrpc", "unix:{self.dir}/ctl")\n')
        with open(os.path.join(self.dir, "kamailio-local.cfg"), "w") as f:
            f.write(LOCAL.replace("MODULES", MODULES).replace("PORT", str(self.number)).replace("DIR", self.dir))
